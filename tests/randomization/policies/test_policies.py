"""Published policies: each operation at each strength is torchvision's, and strengths are drawn from its table."""

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, autoaugment, v2

from art_domainrand.randomization import Choice, Clipped, MixedChains, OneOf, Pipeline, RandomDepth, Rotation
from art_domainrand.randomization.core.transform import Draw
from art_domainrand.randomization.policies.chains import augmix, augmix_operations
from art_domainrand.randomization.policies.single import rand_augment, trivial_augment

NAMES = (
    "Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast",
    "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize",
)  # fmt: skip
AUGMIX = (
    "AutoContrast", "Equalize", "Posterize", "Rotate", "Solarize", "ShearX", "ShearY", "TranslateX", "TranslateY",
)  # fmt: skip
SIGNED = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"}
BLENDS = {"Color", "Contrast", "Sharpness"}  # with an image that is cut to 8 bits itself
GEOMETRIC = {"ShearX", "ShearY", "Rotate"}
X = (torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0)).sqrt() * 220 + 10).to(torch.uint8)


def members(pipeline):
    (chosen,) = pipeline.transforms[:1]
    chosen = chosen.transform if isinstance(chosen, Clipped) else chosen
    assert isinstance(chosen, OneOf)
    return dict(zip(NAMES, chosen.transforms, strict=True))


def levels(transform, x, values=None):
    """What ``transform`` makes of 8-bit images ``x``, cut to 8 bits as torchvision cuts it."""
    pipeline = Pipeline(transform)
    u = torch.full((1, len(pipeline.parameters)), 0.5) if values is None else values
    changed = pipeline.apply(x.float() / 255, Draw(u, torch.zeros(1, dtype=torch.int64)))
    return changed.clamp(0, 1) * 255


def at_every_strength(transform):
    """The transform at each of its strengths, in the order of its table; once if it has none."""
    count = max(len(d.values) if isinstance(d, Choice) else 1 for d in transform.parameters.values())
    for k in range(count):
        yield levels(transform, X, torch.full((1, len(transform.parameters)), (k + 0.5) / count))


def assert_same(ours, theirs, name, tolerance=1.0):
    """Within one level: torchvision cuts, also within an operation; on a tie of two pixels it may take the other."""
    apart = (ours - theirs.float()).abs()
    share = 0.02 if name in GEOMETRIC else 0.0
    assert (apart > tolerance + 1e-3).float().mean() <= share, (name, float(apart.max()))


def torchvisions(table, name):
    """The strengths of torchvision's ``table``, those below zero last."""
    strengths, signed = table[name]
    assert signed == (name in SIGNED)
    found = np.atleast_1d(np.asarray(strengths)).round(4).tolist()
    return [*found, *(-value for value in found)] if signed else found


@pytest.mark.parametrize("name", NAMES)
def test_trivial_augment_is_torchvisions_at_every_strength(name):
    strengths = torchvisions(autoaugment.TrivialAugmentWide()._augmentation_space(31), name)
    ours = list(at_every_strength(members(trivial_augment())[name]))
    assert len(ours) == len(strengths)
    for image, strength in zip(ours, strengths, strict=True):
        theirs = autoaugment._apply_op(X, name, strength, InterpolationMode.NEAREST, None)
        assert_same(image, theirs, name, tolerance=2.0 if name in BLENDS else 1.0)


@pytest.mark.parametrize("magnitude", [0, 9, 30])
def test_rand_augment_is_torchvisions(magnitude):
    pipeline = rand_augment(2, magnitude)
    assert len(pipeline) == 2
    assert pipeline.transforms[0] == pipeline.transforms[1]
    table = autoaugment.RandAugment()._augmentation_space(31, (24, 32))
    for name, transform in members(pipeline).items():
        strengths = torchvisions(table, name)
        strengths = strengths if len(strengths) == 1 else strengths[magnitude::31]
        if name.startswith("Translate"):  # torchvision cuts shifts to whole pixels
            drawn = transform.parameters[name[-1].lower()].values
            assert drawn == pytest.approx([value / {"X": 32, "Y": 24}[name[-1]] for value in strengths], rel=1e-4)
            continue
        for image, strength in zip(at_every_strength(transform), strengths, strict=True):
            theirs = autoaugment._apply_op(X, name, strength, InterpolationMode.NEAREST, None)
            assert_same(image, theirs, name, tolerance=2.0 if name in BLENDS else 1.0)


def test_operations_of_a_policy_are_evenly_likely_and_each_is_chosen_by_its_share():
    draw = trivial_augment().sample(14 * 400, torch.Generator().manual_seed(0))
    (one_of,) = trivial_augment().transforms
    counts = torch.bincount(one_of.member(draw.u[:, 0]), minlength=14)
    assert (counts - 400).abs().max() < 5 * 400**0.5


# What torchvision's AugMix knows of the first ``severity`` of ten strengths lies within ours, at each end of a range.
@pytest.mark.parametrize("name", AUGMIX)
def test_augmix_operations_are_torchvisions_at_the_ends_of_their_ranges(name):
    mix = v2.AugMix(severity=3, all_ops=False)
    transform = dict(zip(AUGMIX, augmix_operations(3.0), strict=True))[name]
    for u in (0.0, 1.0):
        point = torch.full((1, len(transform.parameters)), u)
        values = {key: float(d.icdf(point[0, :1])) for key, d in transform.parameters.items()}
        strength = {
            "Posterize": lambda v: float(round(v["bits"])),
            "Rotate": lambda v: v["angle"],
            "Solarize": lambda v: v["threshold"],  # a share of 255 in torchvision's v2
            "ShearX": lambda v: np.tan(np.deg2rad(v["x"])),
            "ShearY": lambda v: np.tan(np.deg2rad(v["y"])),
            "TranslateX": lambda v: v["x"] * 30,
            "TranslateY": lambda v: v["y"] * 30,
        }.get(name, lambda v: 0.0)(values)
        x = X[..., :30] if name == "TranslateX" else torch.cat((X, X[:, :, :6]), 2)  # 3 whole pixels are a tenth of 30
        theirs = mix._apply_image_or_video_transform(x, name, strength, InterpolationMode.BILINEAR, {})
        assert_same(levels(transform, x, point), theirs, name)


def test_strengths_of_augmix_follow_the_authors_law_on_8_bit_images():
    """``int(level * maxval / 10)`` of a level that is even on [0.1, severity]."""
    count, severity = 200_000, 3.0
    u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    level = 0.1 + (severity - 0.1) * (1 - u)
    operations = dict(zip(AUGMIX, augmix_operations(severity), strict=True))
    bits = operations["Posterize"].parameters["bits"].icdf(u).round()
    assert (bits == 4 - (level * 4 / 10).floor()).double().mean() > 0.9999
    threshold = operations["Solarize"].parameters["threshold"].icdf(u) * 255
    kept = 256 - (level * 256 / 10).floor()  # an integer value below is kept
    assert (threshold.ceil() == kept).double().mean() > 0.9999


def test_augmix_is_three_chains_of_one_to_three_of_nine():
    (mixed,) = augmix().transforms
    chain = mixed.transform
    assert isinstance(mixed, MixedChains)
    assert isinstance(chain, RandomDepth)
    assert isinstance(chain.transform, OneOf)
    assert (mixed.width, chain.depth, len(chain.transform.transforms)) == (3, (1, 3), 9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: augmix(9), r"severity must be a number in \(0.1, 8\], got 9"),
        (lambda: trivial_augment(1), "bins must be None or an int >= 2, got 1"),
        (lambda: rand_augment(0), "count must be an int >= 1, got 0"),
        (lambda: rand_augment(2, 31), "magnitude must be an int from 0 to 30, got 31"),
        (lambda: MixedChains(Rotation(), 0), "width must be an int >= 1, got 0"),
        (
            lambda: RandomDepth(Rotation(), (2, 1)),
            r"depth must be two ints, .*, got \(2, 1\)",
        ),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
