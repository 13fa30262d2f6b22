"""NumPy-only defences behind PyTorch: the defence's values, the promised gradients, and chains in ART."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from art.defences.preprocessor import (
    Cutout,
    FeatureSqueezing,
    JpegCompression,
    Mixup,
    Preprocessor,
)
from torch import nn

from art_domainrand import DifferentiableDefence

from support.differentiable import DEFENCES, KEEPS_SHAPE, ONE_BY_ONE, UNIT, Widened, one_hot, same_labels, value_of
from support.estimators import CLASSES, cnn, make_classifier


@pytest.mark.parametrize("name", DEFENCES)
def test_values_and_labels_are_the_defences(name, images, labels):
    defence, y = DEFENCES[name](), one_hot(labels)
    expected, named = value_of(defence, images.copy(), y.copy())
    ours = DifferentiableDefence(DEFENCES[name](), batch_size=None)
    before = images.copy()
    tensor, tensor_y = value_of(ours.forward, torch.from_numpy(images), torch.from_numpy(y))
    array, array_y = value_of(ours, images, y)
    assert isinstance(tensor_y, torch.Tensor)
    for got, got_y in ((tensor, tensor_y), (array, array_y)):
        assert np.array_equal(np.asarray(got), expected.astype(np.float32))
        assert same_labels(got_y, named)
        assert np.asarray(got).dtype == np.asarray(got_y).dtype == np.float32
    assert np.array_equal(images, before)


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_batches_change_nothing_where_images_are_independent(name, images, labels):
    y = one_hot(labels)
    expected, named = value_of(DEFENCES[name](), images.copy(), y.copy())
    got, got_y = value_of(DifferentiableDefence(DEFENCES[name](), batch_size=3).forward, torch.from_numpy(images), y)
    assert np.array_equal(got.numpy(), expected.astype(np.float32))
    assert same_labels(got_y, named)


def test_the_defence_sees_batches(images):
    seen = []

    class Watching(FeatureSqueezing):
        def __call__(self, x, y=None):
            seen.append(len(x))
            return super().__call__(x, y)

    DifferentiableDefence(Watching(UNIT), batch_size=4).forward(torch.from_numpy(images))
    assert seen == [4, 4, 2]


def test_labels_may_be_indices_lists_or_none(images, labels):
    squeeze = DifferentiableDefence(FeatureSqueezing(UNIT), batch_size=4)
    x = torch.from_numpy(images)
    assert torch.equal(squeeze.forward(x, torch.from_numpy(labels))[1], torch.from_numpy(labels))
    boxes = [{"labels": label} for label in labels]
    assert squeeze.forward(x, boxes)[1] == boxes
    assert squeeze.forward(x)[1] is None
    mixed = DifferentiableDefence(Mixup(CLASSES)).forward(x, torch.from_numpy(labels))[1]
    assert mixed.shape == (10, CLASSES)
    assert mixed.dtype == torch.float32
    with pytest.raises(ValueError, match=r"y must be None, an array, a tensor or a list, got dict"):
        squeeze.forward(x, {"labels": labels})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_is_kept(dtype, images):
    x = torch.from_numpy(images).to(dtype)
    for name in ("jpeg", "squeezing", "smoothing"):
        got = DifferentiableDefence(DEFENCES[name]()).forward(x)[0]
        assert got.dtype == dtype
        shown = x.float() if dtype in (torch.float16, torch.bfloat16) else x
        assert torch.equal(got, torch.from_numpy(np.asarray(DEFENCES[name]()(shown.numpy().copy())[0])).to(dtype))


def test_float16_arrays_and_integer_images_are_kept(images):
    smooth = DifferentiableDefence(DEFENCES["smoothing"]())
    assert smooth(images.astype(np.float16))[0].dtype == np.float16
    pixels = (images * 255).astype(np.uint8)
    squeezed = DifferentiableDefence(FeatureSqueezing((0, 255), bit_depth=3))(pixels)[0]
    assert squeezed.dtype == np.uint8
    assert set(np.unique(squeezed)) == {round(255 * level / 7) for level in range(8)}


def test_defences_that_write_to_their_input_write_to_a_copy(images, labels):
    """ThermometerEncoding clips in place."""
    beyond, y = 2 * images, one_hot(labels)
    ours = DifferentiableDefence(DEFENCES["thermometer"](), "defence")
    for x in (beyond.copy(), torch.from_numpy(beyond.copy())):
        (ours if isinstance(x, np.ndarray) else ours.forward)(x, y)
        assert np.array_equal(np.asarray(x), beyond)


def test_feature_squeezing_works_in_a_float32_model(images):
    with pytest.raises(RuntimeError, match="double"):  # ART's own
        make_classifier(preprocessing_defences=[Widened(np.array(UNIT))]).predict(images)
    wrapped = DifferentiableDefence(Widened(np.array(UNIT)))
    assert make_classifier(preprocessing_defences=[wrapped]).predict(images).shape == (10, CLASSES)


# Gradients.


def gradient(ours, x, weight):
    leaf = torch.from_numpy(x).requires_grad_()
    (value_of(ours.forward, leaf)[0] * torch.from_numpy(weight)).sum().backward()
    return leaf.grad.numpy()


@pytest.mark.parametrize("name", sorted(set(KEEPS_SHAPE) - {"mixup", "cutmix", "label smoothing"}))
def test_straight_through_is_the_identity(name, images):
    weight = np.random.default_rng(2).standard_normal(images.shape).astype(np.float32)
    ours = DifferentiableDefence(DEFENCES[name](), batch_size=4)
    assert np.array_equal(gradient(ours, images, weight), weight)
    assert np.array_equal(ours.estimate_gradient(images, weight), weight)


def test_thermometer_takes_its_own_gradient(images):
    weight = np.random.default_rng(2).standard_normal((10, 4, 8, 8)).astype(np.float32)
    expected = DEFENCES["thermometer"]().estimate_gradient(images.copy(), weight.copy())
    ours = DifferentiableDefence(DEFENCES["thermometer"](), "defence", batch_size=3)
    assert np.abs(expected).max() > 0.1
    assert np.array_equal(gradient(ours, images, weight), expected.astype(np.float32))
    assert np.array_equal(ours.estimate_gradient(images, weight), expected.astype(np.float32))


def test_a_surrogate_is_differentiated_at_the_images(images):
    weight = np.random.default_rng(2).standard_normal(images.shape).astype(np.float32)
    ours = DifferentiableDefence(DEFENCES["jpeg"](), lambda x: x**3, batch_size=3)
    assert np.allclose(gradient(ours, images, weight), 3 * images**2 * weight, rtol=1e-6)
    per_class = np.stack([weight, 2 * weight], 1)
    assert np.allclose(ours.estimate_gradient(images, per_class), 3 * images[:, None] ** 2 * per_class, rtol=1e-6)
    assert np.array_equal(ours(images)[0], DEFENCES["jpeg"]()(images)[0])


def test_a_surrogate_keeps_no_gradients_of_its_own(images):
    smooth = nn.Conv2d(1, 1, 3, padding=1)
    gradient(DifferentiableDefence(DEFENCES["smoothing"](), smooth), images, images)
    assert smooth.weight.grad is None


def test_gradients_that_cannot_be_are_refused(images):
    x = torch.from_numpy(images).requires_grad_()
    thermometer = DEFENCES["thermometer"]()
    assert DifferentiableDefence(thermometer).forward(x.detach())[0].shape == (10, 4, 8, 8)
    with pytest.raises(ValueError, match=r'defence must keep the shape for backward="straight_through".*\(10, 4, 8, 8'):
        DifferentiableDefence(thermometer).forward(x)
    with pytest.raises(ValueError, match=r"must keep the number of images where a gradient is asked for, got 15 for 1"):
        DifferentiableDefence(DEFENCES["more noise"](), "defence").forward(x)
    with pytest.raises(ValueError, match=r"backward must return a tensor of shape \(10, 4, 8, 8\), got \(10, 1, 8, 8"):
        DifferentiableDefence(thermometer, lambda x: x).forward(x)[0].sum().backward()
    with pytest.raises(ValueError, match="backward must be differentiable in the images"):
        DifferentiableDefence(DEFENCES["jpeg"](), lambda x: x.round().detach()).forward(x)[0].sum().backward()

    class Flat(JpegCompression):
        def estimate_gradient(self, x, grad):
            return grad.reshape(len(grad), -1)

    with pytest.raises(ValueError, match=r"estimate_gradient of Flat must have the shape \(10, 1, 8, 8\).*\(10, 64\)"):
        DifferentiableDefence(Flat(UNIT, channels_first=True), "defence").forward(x)[0].sum().backward()


# The object.


def test_flags_follow_the_defence_unless_given():
    squeeze = FeatureSqueezing(UNIT)
    assert (squeeze.apply_fit, squeeze.apply_predict) == (False, True)
    ours = DifferentiableDefence(squeeze)
    assert (ours.apply_fit, ours.apply_predict, ours.is_fitted) == (False, True, True)
    ours.set_params(apply_fit=True)
    assert (ours.apply_fit, ours.apply_predict) == (True, True)
    ours.set_params(defence=Cutout(3))
    assert (ours.apply_fit, ours.apply_predict) == (True, False)


def test_set_params_checks_all_before_it_sets_any():
    ours = DifferentiableDefence(JpegCompression(UNIT), batch_size=7)
    for wrong, words in (
        ({"batch_size": 0}, r"batch_size must be None or an int >= 1, got 0"),
        ({"backward": "identity"}, r'backward must be "straight_through", "defence" or a function, got \'identity\''),
        ({"apply_fit": 1}, r"apply_fit must be None, True or False, got 1"),
        ({"device_type": "tpu"}, r'device_type must be "gpu" or "cpu", got \'tpu\''),
        ({"defence": cnn()}, r"defence must be a preprocessor of ART, got Sequential"),
        ({"defence": copy.copy(ours)}, r"defence must be a preprocessor of ART, got DifferentiableDefence"),
        ({"bacth_size": 3}, r"parameters must be among .* got 'bacth_size'; did you mean 'batch_size'\?"),
    ):
        with pytest.raises(ValueError, match=words):
            ours.set_params(**({"batch_size": 9} | wrong))
        assert ours.batch_size == 7
    ours.set_params(batch_size=9, backward="defence")
    assert (ours.batch_size, ours.backward) == (9, "defence")


def test_it_shows_its_parameters():
    shown = repr(DifferentiableDefence(JpegCompression(UNIT, quality=30)))
    assert "defence=JpegCompression(quality=30," in shown
    assert "backward='straight_through', batch_size=128" in shown


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_do_the_same(copied, images):
    ours = DifferentiableDefence(DEFENCES["jpeg"](), torch.sigmoid, batch_size=4)
    other = copied(ours)
    assert np.array_equal(other(images)[0], ours(images)[0])
    assert np.array_equal(gradient(other, images, images), gradient(ours, images, images))


def test_fit_reaches_the_defence(images):
    class Centering(Preprocessor):
        def fit(self, x, y=None, **kwargs):
            self.mean = x.mean(0)
            self._is_fitted = True

        def __call__(self, x, y=None):
            return x - self.mean, y

    ours = DifferentiableDefence(Centering())
    assert not ours.is_fitted
    ours.fit(images)
    assert ours.is_fitted
    assert np.array_equal(ours(images)[0], images - images.mean(0))


def test_arrays_of_objects_go_to_the_defence_as_they_are():
    class Doubling(Preprocessor):
        def __call__(self, x, y=None):
            return np.array([2 * item for item in x] + [None], dtype=object)[:-1], y

    x = np.array([np.ones(2), np.ones(3), None], dtype=object)[:-1]
    ours = DifferentiableDefence(Doubling())
    assert [len(item) for item in ours(x)[0]] == [2, 3]
    assert ours.estimate_gradient(x, x) is x


@pytest.mark.parametrize("view", [lambda x: x[..., ::-1], lambda x: np.broadcast_to(x[:, :1, :1, :1], x.shape)])
def test_whatever_view_a_defence_returns_becomes_a_tensor(images, view):
    class Viewing(Preprocessor):
        def __init__(self):
            super().__init__(apply_fit=True, apply_predict=True)

        def __call__(self, x, y=None):
            return view(x), y

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, _ = DifferentiableDefence(Viewing()).forward(torch.from_numpy(images))
    assert np.array_equal(value.numpy(), view(images))
