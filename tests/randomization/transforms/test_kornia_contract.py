"""Every two-dimensional class of ``kornia.augmentation``: replayed and differentiated, or listed with a true reason."""

import importlib.util
import inspect
import pickle

import kornia.augmentation as K  # noqa: N812
import numpy as np
import pytest
import torch
from kornia.augmentation._3d.base import AugmentationBase3D
from kornia.augmentation.container.base import SequentialBase

from art_domainrand.randomization import KorniaAugmentation, Pipeline
from art_domainrand.randomization.core.kornia_module import NOT_DIFFERENTIABLE, NOT_REPLAYABLE

pytestmark = pytest.mark.filterwarnings("ignore")  # Kornia's own, about deprecated arguments

# What the constructors need; p is added where they take it.
ARGUMENTS = {
    "CenterCrop": (12,),
    "ColorJiggle": (0.2, 0.2, 0.2, 0.1),
    "ColorJitter": (0.2, 0.2, 0.2, 0.1),
    "Denormalize": (0.4, 0.3),
    "Normalize": (0.4, 0.3),
    "LongestMaxSize": (12,),
    "SmallestMaxSize": (12,),
    "PadTo": ((24, 24),),
    "RandomAffine": (20.0, (0.1, 0.1)),
    "RandomBrightness": ((0.8, 1.2),),
    "RandomContrast": ((0.8, 1.2),),
    "RandomCrop": ((12, 12),),
    "RandomElasticTransform": ((9, 9), (4.0, 4.0)),
    "RandomFisheye": tuple(torch.tensor(bounds) for bounds in ((-0.3, 0.3), (-0.3, 0.3), (0.9, 1.1))),
    "RandomGamma": ((0.7, 1.4),),
    "RandomGaussianBlur": (3, (0.5, 1.5)),
    "RandomHue": ((-0.1, 0.1),),
    "RandomMotionBlur": (5, 35.0, 0.5),
    "RandomRain": ((5, 10), (2, 4), (-1, 1)),
    "RandomResizedCrop": ((16, 16),),
    "RandomRotation": (30.0,),
    "RandomRotation90": ((-1, 1),),
    "RandomSaturation": ((0.6, 1.4),),
    "RandomShear": (10.0,),
    "RandomTranslate": ((-0.2, 0.2), (-0.2, 0.2)),
    "Resize": ((12, 12),),
}
CONTAINERS = {
    "AugmentationSequential": lambda: K.AugmentationSequential(K.RandomAffine(10.0, p=1.0), K.RandomInvert(p=0.5)),
    "ImageSequential": lambda: K.ImageSequential(K.RandomAffine(10.0, p=1.0), K.RandomInvert(p=0.5), random_apply=1),
    "PatchSequential": lambda: K.PatchSequential(
        K.RandomGamma((0.7, 1.4)), K.RandomInvert(p=0.5), grid_size=(2, 2), patchwise_apply=False
    ),
    "VideoSequential": lambda: K.VideoSequential(K.RandomInvert()),
    "ManyToManyAugmentationDispather": lambda: K.ManyToManyAugmentationDispather(
        K.AugmentationSequential(K.RandomInvert()), K.AugmentationSequential(K.RandomInvert())
    ),
    "ManyToOneAugmentationDispather": lambda: K.ManyToOneAugmentationDispather(
        K.AugmentationSequential(K.RandomInvert()), K.AugmentationSequential(K.RandomInvert())
    ),
}
# Abstract: they raise NotImplementedError, or lack what a subclass brings.
BASES = {name for name in dir(K) if "Base" in name}
CLASSES = sorted(
    name
    for name, cls in vars(K).items()
    if inspect.isclass(cls)
    and issubclass(cls, torch.nn.Module)
    and not issubclass(cls, AugmentationBase3D)
    and not name.endswith("3D")
    and name not in BASES
)
# Those that change the shape: all images of a batch must be changed, so p must be 1.
RESIZING = {"CenterCrop", "LongestMaxSize", "RandomCrop", "Resize", "SmallestMaxSize"}
# Those that draw a parameter for the whole batch, or one that differs in length from image to image.
WHOLE_BATCH = {"ColorJiggle", "ColorJitter", "RandomRain"}
REPLAYED = [name for name in CLASSES if name not in NOT_REPLAYABLE]
MIXING = [name for name, reason in NOT_REPLAYABLE.items() if reason.startswith("mixes several images")]


def make(name, p=1.0):
    if name in CONTAINERS:
        return CONTAINERS[name]()
    takes_p = "p" in inspect.signature(getattr(K, name)).parameters
    return getattr(K, name)(*ARGUMENTS.get(name, ()), **({"p": p} if takes_p else {}))


def images(n=5, dtype=torch.float32, seed=0):
    return torch.rand(n, 3, 16, 16, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def draw_for(pipeline, n=5, seed=1):
    return pipeline.sample(n, torch.Generator().manual_seed(seed))


def test_the_list_is_complete():
    assert len(CLASSES) > 60
    assert {*NOT_REPLAYABLE, *NOT_DIFFERENTIABLE, *ARGUMENTS, *CONTAINERS} <= set(CLASSES)
    derived = [getattr(K, name) for name in dir(K) if inspect.isclass(getattr(K, name)) and name not in BASES]
    for base in BASES:
        assert any(issubclass(cls, getattr(K, base)) for cls in derived), f"{base} is no base class"


@pytest.mark.parametrize("name", REPLAYED)
@pytest.mark.parametrize("p", [0.5, 1.0])
def test_replay_is_exact_slicing_commutes_and_global_generators_stay(name, p):
    if p < 1 and name in CONTAINERS:
        pytest.skip("a container has no p")
    if p < 1 and name in RESIZING:
        with pytest.raises(ValueError, match="module must give all images one shape, got"):
            Pipeline([make(name, p)]).apply(images(), draw_for(Pipeline([make(name, p)])))
        return
    pipeline, x = Pipeline([make(name, p)]), images()
    draw, copy = draw_for(pipeline), x.clone()
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    changed = pipeline.apply(x, draw)
    pipeline(x)  # another draw in between
    assert torch.equal(pipeline.apply(x, draw), changed)
    for part in (slice(0, 1), slice(2, 4), [4, 0]):
        assert torch.equal(pipeline.apply(x[part], draw[part]), changed[part])
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    assert torch.equal(x, copy)
    assert changed.isfinite().all()


@pytest.mark.parametrize("name", REPLAYED)
def test_a_pickled_module_is_the_same(name):
    pipeline, x = Pipeline([make(name)]), images()
    draw = draw_for(pipeline)
    again = pickle.loads(pickle.dumps(pipeline))
    assert torch.equal(again.apply(x, draw), pipeline.apply(x, draw))


def slope_and_gradient(name, seed=1):
    """The finite difference along a random direction, and what the gradient says it is."""
    pipeline = Pipeline([make(name)])
    draw = draw_for(pipeline, 2, seed)
    x = (0.1 + 0.8 * images(2, torch.float64, seed=2)).requires_grad_()
    shape = pipeline.apply(x, draw).shape
    generator = torch.Generator().manual_seed(3)
    weight = torch.rand(shape, dtype=torch.float64, generator=generator)
    direction = torch.randn(x.shape, dtype=torch.float64, generator=generator)

    def loss(x):
        return (pipeline.apply(x, draw) * weight).sum()

    step = 1e-6
    with torch.no_grad():
        slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
        # Over a distance that a table of 256 levels cannot miss.
        change = (loss(x + 0.05 * direction) - loss(x)).abs()
    total = loss(x)
    gradient = torch.autograd.grad(total, x)[0] if total.requires_grad else None
    return slope.item(), gradient, direction, change.item()


@pytest.mark.parametrize("name", [name for name in REPLAYED if name not in NOT_DIFFERENTIABLE])
def test_what_is_not_listed_has_the_gradient_of_finite_differences(name):
    assert KorniaAugmentation(make(name)).differentiable
    slope, gradient, direction, _ = slope_and_gradient(name)
    assert gradient.abs().sum() > 0
    assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", NOT_DIFFERENTIABLE)
def test_what_is_listed_as_not_differentiable_is_not(name):
    assert not KorniaAugmentation(make(name)).differentiable
    assert not KorniaAugmentation(K.ImageSequential(K.RandomInvert(), make(name))).differentiable
    _, gradient, _, change = slope_and_gradient(name)
    assert change > 0.01, "the result follows the image"
    assert gradient is None or not gradient.any()


def test_clahe_is_differentiable_where_it_says_so():
    module = K.RandomClahe(p=1.0, slow_and_differentiable=True)
    assert KorniaAugmentation(module).differentiable
    x = images(1).requires_grad_()
    (gradient,) = torch.autograd.grad(Pipeline([module])(x).square().sum(), x)
    assert gradient.any()


@pytest.mark.parametrize("name", [name for name in NOT_REPLAYABLE if name != "RandomDissolving"])
def test_what_is_listed_as_not_replayable_is_refused_with_its_reason(name):
    with pytest.raises(ValueError, match=f"got {name}, which {NOT_REPLAYABLE[name]}"):
        Pipeline([make(name)])


@pytest.mark.parametrize("name", MIXING)
def test_an_image_that_is_mixed_depends_on_the_others(name):
    # Kornia's own results for image 0, under the same global seeds, with other neighbours: some of them differ.
    first, second = ([mixed_by_kornia(name, seed, global_seed) for global_seed in range(5)] for seed in (4, 5))
    assert any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


def mixed_by_kornia(name, seed, global_seed):
    """Image 0 of a batch after Kornia's mixing; the other images come from ``seed``."""
    x = torch.cat((images(1), images(3, seed=seed)))
    torch.manual_seed(global_seed)
    if name == "RandomTransplantation":
        masks = torch.zeros(4, 16, 16)
        masks[:, 4:12, 4:12] = 1
        result = K.RandomTransplantation(p=1.0, data_keys=["input", "mask"])(x, masks)
    else:
        result = K.PatchMix(patch_size=4, p=1.0)(x) if name == "PatchMix" else make(name)(x)
    return (result[0] if isinstance(result, (list, tuple)) else result)[0]


def test_the_other_reasons_are_real():
    x = images(4)
    for name in ("VideoSequential", "ManyToManyAugmentationDispather"):
        with pytest.raises((ValueError, AssertionError, RuntimeError)):
            make(name)(x)
    assert isinstance(make("ManyToOneAugmentationDispather")(x), list)
    assert isinstance(make("ManyToManyAugmentationDispather")((x,), (x,)), list)
    if importlib.util.find_spec("diffusers") is None:
        with pytest.raises(ImportError, match="diffusers"):
            K.RandomDissolving()


@pytest.mark.parametrize("name", [name for name in REPLAYED if name not in {*CONTAINERS, *RESIZING, *WHOLE_BATCH}])
@pytest.mark.parametrize("p", [0.5, 1.0])
def test_batched_is_the_same_up_to_rounding(name, p):
    exact, batched = (Pipeline(KorniaAugmentation(make(name, p), batched=batched)) for batched in (False, True))
    x = images()
    for seed in range(2):
        draw = draw_for(exact, seed=seed)
        torch.testing.assert_close(batched.apply(x, draw), exact.apply(x, draw), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(RESIZING))
def test_batched_resizing_is_the_same_up_to_rounding(name):
    exact, batched = (Pipeline(KorniaAugmentation(make(name), batched=batched)) for batched in (False, True))
    x, draw = images(), draw_for(exact)
    torch.testing.assert_close(batched.apply(x, draw), exact.apply(x, draw), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(WHOLE_BATCH))
def test_what_cannot_be_batched_is_refused(name):
    pipeline = Pipeline(KorniaAugmentation(make(name), batched=True))
    with pytest.raises(ValueError, match=f"batched needs parameters per image, got {name}"):
        pipeline.apply(images(), draw_for(pipeline))


def test_containers_are_never_batched():
    for make_container in CONTAINERS.values():
        container = make_container()
        if isinstance(container, SequentialBase) and type(container).__name__ not in NOT_REPLAYABLE:
            with pytest.raises(ValueError, match="batched needs a single augmentation, got the container"):
                KorniaAugmentation(container, batched=True)
