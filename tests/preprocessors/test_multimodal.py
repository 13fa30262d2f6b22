"""Several modalities under ART: the channels of one image, masks as labels, and wherever a pipeline goes."""

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import PGD, DomainAdversarialTrainer, DomainAttack, DomainRandomization, MultiModal
from art_domainrand.evaluation import Clean, DomainAttacked, Randomized, evaluate
from art_domainrand.randomization import (
    Brightness,
    DepthModality,
    Flip,
    GaussianNoise,
    MaskModality,
    Rotation,
    Saturation,
    Scale,
    Uniform,
)
from art_domainrand.scenes import shape_scenes

RGBD = {"rgb": 3, "depth": 1}
BOTH = MultiModal(
    {
        "rgb": [Saturation(), Brightness(), GaussianNoise()],
        "depth": DepthModality(GaussianNoise((0, 0.02)), magnified="divided"),
        "mask": MaskModality(fill=9),
    },
    [Rotation(), Scale((0.7, 1.4)), Flip()],
)
SCENES = shape_scenes(12, 16)
PICTURES = {name: torch.from_numpy(getattr(SCENES, name)) for name in BOTH.modalities}
X = np.concatenate([SCENES.rgb, SCENES.depth], axis=1)


def drawn(n=12):
    return BOTH.sample(n, torch.Generator().manual_seed(0))


def preprocessor(**options):
    return DomainRandomization(BOTH.stacked(RGBD), seed=3, **options)


@pytest.mark.parametrize("channels_first", [True, False])
def test_the_preprocessor_does_what_the_dictionary_does_to_the_bit(channels_first):
    draw, made = drawn(), preprocessor(channels_first=channels_first, masks=MaskModality(fill=9))
    expected = BOTH.apply(PICTURES, draw)
    stacked = torch.cat([expected["rgb"], expected["depth"]], dim=1).clamp(0, 1)
    x = X if channels_first else np.ascontiguousarray(np.moveaxis(X, 1, 3))
    with made.replay(draw):
        changed, masks = made(x, SCENES.mask)
    assert np.array_equal(changed if channels_first else np.moveaxis(changed, 3, 1), stacked.numpy())
    assert np.array_equal(masks, expected["mask"].numpy())


def test_depth_in_metres_has_a_range_of_its_own():
    draw, low = drawn(), np.zeros((4, 1, 1), np.float32)
    high = np.array([255, 255, 255, 8], np.float32).reshape(4, 1, 1)
    made = preprocessor(clip_values=(low, high))
    with made.replay(draw):
        metres, _ = made(X * high)
    unit = preprocessor()
    with unit.replay(draw):
        np.testing.assert_allclose(metres / high, unit(X)[0], atol=1e-6)
    assert metres[:, 3].max() > 4


def test_an_estimate_replays_the_draw_of_its_batch():
    made, x = preprocessor(), torch.from_numpy(X)
    first, _ = made.forward(x)
    assert torch.equal(made.estimate_forward(x), first)
    assert not torch.equal(made.forward(x)[0], first)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, bool])
def test_masks_as_labels_stay_of_their_kind(dtype):
    masks = (SCENES.mask > 0).astype(dtype)
    draw = drawn()
    made = preprocessor(masks=MaskModality(fill=0))
    expected = BOTH.geometry(draw).masks(torch.from_numpy(masks), fill=0)
    with made.replay(draw):
        for y in (masks, masks[:, None], torch.from_numpy(masks)):
            _, moved = made.forward(torch.from_numpy(X), y)
            assert type(moved) is type(y)
            assert moved.dtype == y.dtype
            assert np.array_equal(np.asarray(moved), expected.numpy().reshape(y.shape))
        assert made.forward(torch.from_numpy(X))[1] is None
    untouched = preprocessor()(X, masks)[1]
    assert untouched is masks


def test_labels_that_are_no_masks_are_refused_where_masks_are_expected():
    made = preprocessor(masks=MaskModality())
    with pytest.raises(ValueError, match=r"y must be masks \(B, H, W\) .* got shape \(12,\)"):
        made(X, SCENES.y)
    with pytest.raises(ValueError, match=r"y must be masks of the size \(16, 16\) of the images, got shape"):
        made(X, SCENES.mask[:, :8])
    with pytest.raises(ValueError, match="masks must be None or a MaskModality, got 255"):
        preprocessor(masks=255)


class FarWall(nn.Module):
    """Class 0 if the mean depth is above 0.3."""

    def forward(self, x):
        mean = x[:, 3].mean((1, 2))
        return torch.stack((mean, torch.full_like(mean, 0.3)), dim=1)


def test_a_search_over_the_draw_brings_the_camera_as_near_as_it_may():
    """A wall at 0.5 that a camera may near by up to a factor s is seen at 0.5 / s: class 0 falls for s above 5 / 3."""
    x = np.concatenate([np.full((4, 3, 8, 8), 0.5), np.full((4, 1, 8, 8), 0.5)], axis=1).astype(np.float32)
    y = np.zeros(4, np.int64)
    classifier = PyTorchClassifier(FarWall(), nn.CrossEntropyLoss(), (4, 8, 8), 2, clip_values=(0, 1))
    for largest, right in ((2.0, 0.0), (1.6, 1.0)):
        near = MultiModal(
            {"rgb": Brightness(), "depth": DepthModality(magnified="divided")}, Scale(Uniform(1.0, largest))
        ).stacked(RGBD)
        attacked = DomainAttack(classifier, near, evaluations=20, seed=0, verbose=False).generate(x, y)
        np.testing.assert_allclose(attacked[:, 3], 0.5 / largest, rtol=0.02)
        conditions = [Clean(), Randomized(near, draws=2), DomainAttacked(near, evaluations=20)]
        found = evaluate(classifier, conditions, (x, y), seed=0, diagnosed=False)
        accuracy = {row.cell: row.accuracy for row in found.rows()}
        assert accuracy[conditions[0].name] == 1.0
        assert accuracy[conditions[2].name] == right


def trained(x, y, randomization):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), (4, 16, 16), 4, optimizer, clip_values=(0, 1))
    attack = PGD(classifier, eps=0.02, eps_step=0.01, max_iter=2, verbose=False)
    trainer = DomainAdversarialTrainer(
        classifier, attack, randomization=randomization, objective="madry", verbose=False
    )
    trainer.fit(x, y, nb_epochs=1, batch_size=5)
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_a_trainer_sees_what_the_dictionary_makes_of_the_scenes():
    """A pipeline without chance, in the trainer and before it: the same weights."""
    fixed = MultiModal(
        {"rgb": Brightness(0.1), "depth": DepthModality(Brightness(-0.05), magnified="divided")},
        [Rotation(20.0), Scale(1.25)],
    )
    scenes = {name: PICTURES[name] for name in RGBD}
    changed = fixed.apply(scenes, fixed.sample(12))
    by_hand = torch.cat(list(changed.values()), dim=1).clamp(0, 1).numpy()
    inside, before = trained(X, SCENES.y, fixed.stacked(RGBD)), trained(by_hand, SCENES.y, None)
    assert all(torch.equal(a, b) for a, b in zip(inside, before, strict=True))
    plain = trained(X, SCENES.y, None)
    assert not any(torch.equal(a, b) for a, b in zip(inside, plain, strict=True))
