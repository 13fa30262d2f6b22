"""The preprocessor on its own: ranges, layouts, dtypes, chunks, seeds, replay and bad input."""

import copy
import inspect
import multiprocessing
import pickle
import warnings
from functools import partial

import kornia.augmentation as K  # noqa: N812
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from art_domainrand.preprocessors import DifferentiableDefence, DomainMapping, DomainRandomization
from art_domainrand.randomization import (
    Brightness,
    Contrast,
    Draw,
    Flip,
    Gamma,
    GaussianNoise,
    Pipeline,
    Rotation,
    Uniform,
)

ITEMS = [Rotation(), Contrast(), Gamma(), GaussianNoise(0.05)]


def images(n=10, channels=3, size=12):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0))


def forward(preprocessor, x):
    return preprocessor.forward(x)[0]


def test_same_seed_same_images_on_every_run_and_fresh_ones_on_every_call():
    first, second, other = (DomainRandomization(ITEMS, seed=seed) for seed in (3, 3, 4))
    a, b = forward(first, images()), forward(first, images())
    assert not torch.equal(a, b)
    assert torch.equal(forward(second, images()), a)
    assert torch.equal(forward(second, images()), b)
    assert not torch.equal(forward(other, images()), a)
    unseeded = [forward(DomainRandomization(ITEMS), images()) for _ in range(2)]
    assert not torch.equal(*unseeded)


def test_chunks_change_no_result():
    x = images(23)
    whole = forward(DomainRandomization(ITEMS, seed=1), x)
    for chunk_size in (1, 5, 22, 23):
        assert torch.equal(forward(DomainRandomization(ITEMS, seed=1, chunk_size=chunk_size), x), whole)
    with_gradient = forward(DomainRandomization(ITEMS, seed=1, chunk_size=5), x.clone().requires_grad_())
    assert torch.equal(with_gradient.detach(), whole)


def test_predicting_needs_no_more_extra_memory_than_a_chunk():
    sizes = []
    preprocessor = DomainRandomization([Rotation()], chunk_size=8)
    inner = preprocessor.pipeline.apply
    preprocessor.pipeline.apply = lambda x, draw: sizes.append(len(x)) or inner(x, draw)
    forward(preprocessor, images(20))
    assert sizes == [8, 8, 4]


@pytest.mark.parametrize(
    "clip_values", [(0, 255), (-1.0, 1.0), (np.zeros((3, 1, 1)), np.array([1.0, 2, 3]).reshape(3, 1, 1))]
)
@pytest.mark.parametrize("channels_first", [True, False])
def test_range_and_layout_are_mapped_there_and_back(clip_values, channels_first):
    unit = images(channels=3)
    low, high = (torch.as_tensor(value, dtype=torch.float32) for value in clip_values)
    x = unit * (high - low) + low
    expected = forward(DomainRandomization(ITEMS, seed=1), unit) * (high - low) + low
    if not channels_first:
        x, expected = x.permute(0, 2, 3, 1).contiguous(), expected.permute(0, 2, 3, 1)
        clip_values = tuple(np.moveaxis(value, 0, -1) if np.ndim(value) else value for value in clip_values)
    changed = forward(DomainRandomization(ITEMS, seed=1, clip_values=clip_values, channels_first=channels_first), x)
    assert changed.shape == x.shape
    assert changed.is_contiguous()
    torch.testing.assert_close(changed, expected, atol=1e-4 * float((high - low).max()), rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.uint8])
def test_dtype_is_kept(dtype):
    x = (images() * 255).round()
    expected = forward(DomainRandomization(ITEMS, seed=1, clip_values=(0, 255)), x)
    changed = forward(DomainRandomization(ITEMS, seed=1, clip_values=(0, 255)), x.to(dtype))
    assert changed.dtype == dtype
    torch.testing.assert_close(changed.float(), expected, atol=2.0, rtol=0)


def test_uint8_never_wraps():
    x = torch.full((2, 3, 4, 4), 250, dtype=torch.uint8)
    for clip in ("straight_through", None):
        assert forward(DomainRandomization(Brightness(0.5), clip_values=(0, 255), clip=clip), x).min() == 255


def test_clipping_and_its_gradient():
    x = torch.tensor([0.1, 0.9, 1.0]).view(1, 1, 1, 3).requires_grad_()
    for clip, top, slope in (("straight_through", 1.0, [1, 1, 1]), ("hard", 1.0, [1, 0, 0]), (None, 1.3, [1, 1, 1])):
        changed = forward(DomainRandomization(Brightness(0.3), clip=clip), x)
        assert changed.max().item() == pytest.approx(top)
        (gradient,) = torch.autograd.grad(changed.sum(), x)
        assert gradient.flatten().tolist() == slope


def test_gradient_is_that_of_the_pipeline():
    preprocessor = DomainRandomization([Rotation(), Gamma()], seed=2, clip=None)
    x = (0.2 + 0.6 * images(2, 1, 5).double()).requires_grad_()
    with preprocessor.replay():
        forward(preprocessor, x)
        assert torch.autograd.gradcheck(lambda x: forward(preprocessor, x), x, atol=1e-4)


def test_estimates_reuse_the_draw_of_the_forward_pass_on_that_batch():
    preprocessor = DomainRandomization(ITEMS, seed=1)
    batches = [images(), 1 - images(), images().flip(0)]
    changed = [forward(preprocessor, x) for x in batches]
    for x, expected in zip(batches, changed, strict=True):
        assert torch.equal(preprocessor.estimate_forward(x.clone()), expected)
    nudged = images()
    nudged[0, 0, 0, 0] += 1e-6
    assert not torch.allclose(preprocessor.estimate_forward(nudged), changed[0], atol=1e-3), (
        "another batch, a fresh draw"
    )
    again = forward(preprocessor, images())
    assert not torch.equal(again, changed[0])
    assert torch.equal(preprocessor.estimate_forward(images()), again), "the latest forward counts"


def test_estimate_gradient_belongs_to_the_forward_pass():
    preprocessor = DomainRandomization(Contrast(pivot=0.0), seed=1, clip=None)
    x = images().numpy()
    gain = preprocessor(x)[0] / x
    np.testing.assert_allclose(preprocessor.estimate_gradient(x, np.ones_like(x)), gain, rtol=1e-4)
    per_class = preprocessor.estimate_gradient(x, np.ones((10, 4, *x.shape[1:]), np.float32))
    np.testing.assert_allclose(per_class, np.repeat(gain[:, None], 4, 1), rtol=1e-4)


def test_replay_holds_one_draw():
    preprocessor = DomainRandomization(ITEMS, seed=1)
    with preprocessor.replay():
        a = forward(preprocessor, images())
        assert torch.equal(forward(preprocessor, images()), a)
        assert torch.equal(preprocessor.estimate_forward(images()), a)
        with preprocessor.replay():
            assert not torch.equal(forward(preprocessor, images()), a)
        assert torch.equal(forward(preprocessor, images()), a)
        with pytest.raises(ValueError, match=r"x must have 10 images, as many as the draw held by replay\(\), got 4"):
            forward(preprocessor, images(4))
    assert not torch.equal(forward(preprocessor, images()), a)
    draw = preprocessor.sample(10)
    with preprocessor.replay(draw):
        torch.testing.assert_close(
            forward(preprocessor, images()), preprocessor.pipeline.apply(images(), draw).clamp(0, 1)
        )


def test_copies_and_pickles_work_repeat_and_share_no_stream():
    def run():
        original = DomainRandomization(ITEMS, seed=5)
        made = [original, copy.deepcopy(original), pickle.loads(pickle.dumps(original)), copy.copy(original)]
        return [forward(preprocessor, images()) for preprocessor in made]

    first, second = run(), run()
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), "deterministic"
    assert len({tuple(a.flatten().tolist()) for a in first}) == 4, "all different"


class Randomized(Dataset):
    def __init__(self, preprocessor):
        self.preprocessor = preprocessor

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return forward(self.preprocessor, torch.full((1, 1, 8, 8), 0.5))


def _child(preprocessor, queue):
    queue.put(forward(preprocessor, torch.full((1, 1, 8, 8), 0.5)).numpy())


def test_forked_workers_do_not_share_a_stream():
    def epochs():
        preprocessor = DomainRandomization(GaussianNoise(0.1), seed=1)
        loader = DataLoader(Randomized(preprocessor), 1, num_workers=2, generator=torch.Generator().manual_seed(0))
        return [batch for _ in range(2) for batch in loader]

    first = epochs()
    assert len({tuple(batch.flatten().tolist()) for batch in first}) == 8, "workers and epochs differ"
    assert all(torch.equal(a, b) for a, b in zip(first, epochs(), strict=True)), "and repeat"

    preprocessor = DomainRandomization(GaussianNoise(0.1), seed=1)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=_child, args=(preprocessor, queue)) for _ in range(2)]
    for child in children:
        child.start()
    results = [queue.get(timeout=60) for _ in children] + [forward(preprocessor, torch.full((1, 1, 8, 8), 0.5)).numpy()]
    for child in children:
        child.join()
    assert len({result.tobytes() for result in results}) == 3


def test_set_params_checks_everything_before_it_changes_anything():
    preprocessor = DomainRandomization(ITEMS, seed=1)
    with pytest.raises(ValueError, match=r"parameters must be among \[.*\], got 'strength'"):
        preprocessor.set_params(strength=3)
    with pytest.raises(ValueError, match="chunk_size must be"):
        preprocessor.set_params(apply_predict=True, chunk_size=0)
    assert not preprocessor.apply_predict
    preprocessor.set_params(apply_predict=True, clip="hard", pipeline=[Flip(1.0)])
    assert preprocessor.apply_predict
    assert torch.equal(forward(preprocessor, images()), images().flip(3))
    preprocessor.set_params(pipeline=ITEMS, seed=1)
    assert torch.equal(
        forward(preprocessor, images()), forward(DomainRandomization(ITEMS, seed=1, clip="hard"), images())
    )


@pytest.mark.parametrize("y", [None, np.eye(3)[[0, 1]], np.array([2, 0]), np.full((2, 3), 1 / 3)])
def test_labels_pass_through_untouched(y):
    preprocessor = DomainRandomization(ITEMS)
    x = images(2).numpy()
    changed, labels = preprocessor(x, y)
    assert changed.dtype == x.dtype
    assert changed.shape == x.shape
    assert labels is y
    tensor = None if y is None else torch.as_tensor(y)
    assert preprocessor.forward(images(2), tensor)[1] is tensor


def test_learned_ranges_receive_a_gradient_through_the_preprocessor():
    high = torch.tensor(0.1, requires_grad=True)
    forward(DomainRandomization(Brightness(Uniform(0.0, high)), chunk_size=2), images()).sum().backward()
    assert high.grad > 0


def test_kornia_modules_may_be_mixed_in():
    preprocessor = DomainRandomization([Rotation(), K.RandomGamma(p=1.0)], seed=1)
    a = forward(preprocessor, images())
    assert torch.equal(preprocessor.estimate_forward(images()), a)


def test_an_empty_batch_passes():
    assert forward(DomainRandomization(ITEMS), images(0)).shape == (0, 3, 12, 12)


def test_the_other_layout_is_warned_about():
    with pytest.warns(UserWarning, match="has 12 channels if channels_first=True; is it in the other layout"):
        forward(DomainRandomization(Brightness()), torch.rand(2, 12, 12, 3))


def poke(value):
    x = images()
    x[0, 0, 0, 0] = value
    return x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DomainRandomization([]), "a pipeline must have at least one transform, got none"),
        (
            lambda: DomainRandomization(ITEMS, clip="soft"),
            'clip must be "straight_through", "hard" or None, got \'soft\'',
        ),
        (lambda: DomainRandomization(ITEMS, chunk_size=0), "chunk_size must be an int >= 1, got 0"),
        (lambda: DomainRandomization(ITEMS, seed=-1), "seed must be None or an int >= 0, got -1"),
        (lambda: DomainRandomization(ITEMS, seed=0.5), "seed must be None or an int >= 0, got 0.5"),
        (
            lambda: DomainRandomization(ITEMS, clip_values=(1, 0)),
            "clip_values must be finite with min < max, got min=1",
        ),
        (lambda: DomainRandomization(ITEMS, clip_values=None), r"clip_values must be a pair \(min, max\), got None"),
        (lambda: DomainRandomization(ITEMS, device_type="tpu"), "device_type must be"),
        (lambda: DomainRandomization(ITEMS, apply_fit=1), "apply_fit must be True or False, got 1"),
        (lambda: forward(DomainRandomization(ITEMS), poke(float("nan"))), "x must be finite, got 1 NaN"),
        (
            lambda: forward(DomainRandomization(ITEMS), images() * 255),
            r"x must lie within clip_values \[0, 1\], got .* at x\[0, 0, 0, 0\]; divide x by 255, or set clip_values",
        ),
        (lambda: forward(DomainRandomization(ITEMS), images()[0]), "x must be a 4D batch of images or .*, got shape"),
        (lambda: forward(DomainRandomization(ITEMS), images().long()), "x must be floating or uint8, got torch.int64"),
        (
            lambda: DomainRandomization(ITEMS).forward(images(), [{}, 3]),
            "y must be class labels or a list with a dictionary of detections",
        ),
        (
            lambda: DomainRandomization([K.RandomAffine(9.0)]).forward(images(), [{}] * 10),
            "labels cannot follow KorniaAugmentation.*RandomAffine.*not tracked",
        ),
        (lambda: DomainRandomization(ITEMS)(np.array([None, 1])), "x must be a numeric array"),
        (lambda: DomainRandomization(ITEMS)([[1.0]]), "x must be a numeric array of images of one size, got list"),
        (lambda: forward(DomainRandomization([K.RandomCrop((8, 8))]), images()), "pipeline must keep the image shape"),
    ],
)
def test_bad_input_names_the_argument_the_rule_and_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_unknown_keyword_is_an_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'strength'; the arguments are"):
        DomainRandomization(ITEMS, strength=2)
    for make in (DomainRandomization, partial(DomainRandomization.for_estimator, Estimator())):
        with pytest.raises(
            TypeError, match=r"unexpected keyword argument 'aply_predict'.*did you mean 'apply_predict'"
        ):
            make(ITEMS, aply_predict=True)


def test_values_just_outside_by_rounding_are_accepted():
    assert forward(DomainRandomization(Pipeline(Flip())), images() * (1 + 3e-6)).max() <= 1


@pytest.mark.parametrize("clip", ["straight_through", "hard", None])
def test_values_further_outside_are_clipped_first_and_said_once(clip):
    """As by the noise of randomized smoothing: a transform is defined on the range only, gamma has NaN below it."""
    x = images() + 0.2 * torch.randn(images().shape, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    defence, other = (DomainRandomization(Gamma((0.5, 0.9)), clip=clip, seed=3) for _ in range(2))
    with pytest.warns(RuntimeWarning, match=r"x should lie within clip_values \[0, 1\], got \S+ at x\[0, .*; clip x"):
        changed = forward(defence, x)
    torch.testing.assert_close(changed, forward(other, x.detach().clamp(0, 1)))
    (gradient,) = torch.autograd.grad(changed.sum(), x)
    assert gradient.isfinite().all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(defence.estimate_forward(x), changed), "the same pixels have the same draw"
    draw = defence.sample(len(x))
    assert torch.equal(defence.randomize(x, draw), defence.randomize(x.clamp(0, 1), draw))


@given(parts=st.lists(st.integers(0, 9), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_the_nth_image_has_the_nth_draw_in_any_batches(parts):
    x = images(sum(parts))
    whole = forward(DomainRandomization(ITEMS, seed=1), x)
    in_parts = DomainRandomization(ITEMS, seed=1)
    assert torch.equal(torch.cat([forward(in_parts, part) for part in x.split(parts)]), whole)
    by_images = DomainRandomization(ITEMS, seed=1)
    draws = [by_images.sample(part) for part in parts]
    assert torch.equal(by_images.pipeline.apply(x, joined(draws)).clamp(0, 1), whole)


def joined(draws):
    return Draw(torch.cat([draw.u for draw in draws]), torch.cat([draw.seeds for draw in draws]))


class Estimator:
    clip_values = (0, 255)
    channels_first = False
    device = torch.device("cpu")


def test_range_layout_and_device_are_those_of_the_estimator():
    made = DomainRandomization.for_estimator(Estimator(), ITEMS, seed=5, apply_predict=True, clip=None)
    by_hand = DomainRandomization(
        ITEMS,
        clip_values=(0, 255),
        channels_first=False,
        seed=5,
        apply_predict=True,
        clip=None,
        device_type="cpu",
    )
    assert {name: getattr(made, name) for name in made.params if name != "pipeline"} == {
        name: getattr(by_hand, name) for name in made.params if name != "pipeline"
    }
    x = images().movedim(1, -1) * 255
    assert torch.equal(forward(made, x), forward(by_hand, x))


def test_an_estimator_with_arrays_of_bounds_and_nothing_else_will_do():
    class Bare:
        clip_values = np.zeros((3, 1, 1)), np.full((3, 1, 1), 2.0)

    made = DomainRandomization.for_estimator(Bare(), Flip(1.0))
    assert made.channels_first
    assert made.device_type == "cpu"
    assert not made.apply_predict
    assert torch.equal(forward(made, 2 * images()), 2 * images().flip(3))


def test_an_estimator_on_a_gpu_has_its_arrays_processed_there():
    class OnGpu(Estimator):
        device = torch.device("cuda")

    assert DomainRandomization.for_estimator(OnGpu(), ITEMS).device_type == "gpu"


def test_an_estimator_of_unknown_range_is_refused():
    class Unknown(Estimator):
        clip_values = None

    with pytest.raises(ValueError, match=r"estimator must have clip_values, .*, got Unknown without"):
        DomainRandomization.for_estimator(Unknown(), ITEMS)


@pytest.mark.parametrize("cls", [DomainRandomization, DomainMapping, DifferentiableDefence])
def test_every_parameter_of_art_is_an_argument_with_a_name(cls):
    signature = inspect.signature(cls)
    assert list(signature.parameters) == cls.params
    assert all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
