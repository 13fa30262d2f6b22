"""Models and modes beyond the tutorial: each works as in ART, or better, or says what is wrong."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentPyTorch
from art.estimators.classification import EnsembleClassifier, PyTorchClassifier
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.preprocessing.expectation_over_transformation import EoTImageRotationPyTorch
from torch import nn

from art_domainrand import FGSM, PGD
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.steps import PGDSteps
from art_domainrand.core.norms import ball, lp_norm

from support.estimators import CLASSES, SHAPE, cnn, make_classifier

QUICK = {"eps": 0.1, "eps_step": 0.03, "max_iter": 5, "verbose": False}


def same_as_art(estimator, x, y, **options):
    ours = PGD(estimator, **QUICK | options).generate(x, y)
    theirs = ProjectedGradientDescentPyTorch(estimator, **QUICK | options).generate(x, y)
    return np.abs(ours - theirs).max() <= 1e-6 and np.abs(theirs - x).max() > 1e-3


class Wrapped(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.inner, self.change = cnn(), change

    def forward(self, x):
        return self.change(self, x)


def impossible_class(model, x):
    return model.inner(x) + torch.tensor([0.0, 0.0, 0.0, -torch.inf])


def not_a_number(model, x):
    return model.inner(x) * torch.nan


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("change", [impossible_class, not_a_number])
def test_restarts_always_return_images(images, change):
    """Scores that are NaN or minus infinity rank last; no sample is left unwritten."""
    classifier = make_classifier(Wrapped(change))
    junk = [np.full((10, *SHAPE), 7.77, dtype=np.float32) for _ in range(50)]  # freed memory for torch.empty to find
    del junk
    for targeted in (False, True):
        attack = PGD(classifier, num_random_init=2, targeted=targeted, **QUICK)
        adv = attack.generate(images, np.full(10, 3))
        assert np.abs(adv - images).max() <= np.float32(0.1)


def test_models_that_write_to_their_input(images, labels):
    model = nn.Sequential(nn.Hardtanh(0.1, 0.9, inplace=True), *cnn())
    classifier = make_classifier(model)
    x = images.copy()
    assert same_as_art(classifier, x, labels)
    PGD(classifier, num_random_init=2, **QUICK).generate(x)
    FGSM(classifier, minimal=True).generate(x)
    assert np.array_equal(x, images), "the caller's images must stay as they are"
    tensor = torch.from_numpy(x)
    adv = PGD(classifier, num_random_init=2, **QUICK).perturb(tensor)
    assert np.array_equal(tensor.numpy(), images)
    assert (adv - tensor).abs().max() <= 0.1


def test_own_loss_gradients_are_respected(images, labels):
    class Reversed(PyTorchClassifier):
        def loss_gradient(self, x, y, training_mode=False, **kwargs):
            return -super().loss_gradient(x, y, training_mode, **kwargs)

    plain = make_classifier()
    options = {"input_shape": SHAPE, "nb_classes": CLASSES, "clip_values": (0.0, 1.0), "device_type": "cpu"}
    reversed_ = Reversed(plain.model, loss=nn.CrossEntropyLoss(), **options)
    assert same_as_art(reversed_, images, labels)
    plain.loss_gradient = lambda x, y, **kwargs: -PyTorchClassifier.loss_gradient(plain, x, y)
    assert same_as_art(plain, images, labels)


def test_sequential_runs_as_art_runs_it(images, labels):
    class Mirrored(nn.Sequential):
        def forward(self, x):
            return super().forward(1 - x)

    assert same_as_art(make_classifier(Mirrored(nn.Flatten(), nn.Linear(64, 4))), images, labels)


def test_gradients_that_are_views(images, labels):
    """Summing pixels makes autograd return an expanded view, which cannot be written to."""
    assert same_as_art(make_classifier(Summing()), images, labels)


class Summing(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return torch.tanh(self.head(x.sum((1, 2)) / 10))


def test_gradients_that_somebody_keeps(images, labels):
    kept = []
    classifier = make_classifier(Wrapped(lambda m, x: recorded(m.inner(x), x, kept)))
    PGD(classifier, **QUICK).generate(images, labels)
    assert all(len(np.unique(np.abs(g))) > 3 for g in kept), "gradients seen by a hook were overwritten by their signs"


def recorded(out, x, kept):
    if x.requires_grad:
        x.register_hook(lambda grad: kept.append(grad.numpy()))
    return out


def test_ties_count_by_the_predicted_class(images):
    """Saturated outputs tie; the prediction, not the margin, decides."""

    class Saturated(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, 4)

        def forward(self, x):
            return torch.sigmoid(self.head(x.flatten(1)) * 50)

    classifier = make_classifier(Saturated(), loss=nn.MSELoss())
    y = classifier.predict(images).argmax(1)
    options = {"eps": 0.5, "eps_step": 0.01, "minimal": True}
    ours, theirs = (a(classifier, **options).generate(images, y) for a in (FGSM, FastGradientMethod))
    broken = classifier.predict(theirs).argmax(1) != y
    assert broken.any()
    assert np.abs(ours - theirs)[broken].max() <= 1e-6


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_callers_autograd_mode(classifier, images, labels, mode):
    expected = PGD(classifier, **QUICK).generate(images, labels)
    ensemble = EnsembleClassifier([classifier], channels_first=True, clip_values=(0, 1))
    with mode():
        assert np.array_equal(PGD(classifier, **QUICK).generate(images, labels), expected)
        assert np.array_equal(PGD(classifier, **QUICK).perturb(torch.from_numpy(images) * 1, labels).numpy(), expected)
        assert np.abs(PGD(ensemble, **QUICK).generate(images, labels) - expected).max() <= 1e-6


def test_parameters_are_frozen_and_precision_is_lowered_only_inside(images, labels):
    seen = []

    def look(model, x):
        out = model.inner[0](x)
        seen.append(
            (out.dtype, model.inner[0].weight.requires_grad, out.is_contiguous(memory_format=torch.channels_last))
        )
        return model.inner[1:](out)

    classifier = make_classifier(Wrapped(look))
    x = np.repeat(images, 3, axis=1)
    wide = make_classifier(Wrapped(look), input_shape=(3, 8, 8))
    wide.model.inner[0] = nn.Conv2d(3, 6, 3, padding=1)
    PGD(classifier, autocast=torch.bfloat16, **QUICK).generate(images, labels)
    assert {s[:2] for s in seen} == {(torch.bfloat16, False)}
    seen.clear()
    before = wide.model.inner[0].weight.data_ptr(), wide.model.inner[0].weight.stride()
    PGD(wide, memory_format="channels_last", **QUICK).generate(x, labels)
    PGD(classifier, memory_format="channels_last", **QUICK).generate(images, labels)  # one channel fits both formats
    assert {s[2] for s in seen} == {True}
    assert (wide.model.inner[0].weight.data_ptr(), wide.model.inner[0].weight.stride()) == before


def test_buffers_are_restored_however_they_move(images, labels):
    def count(model, x):
        model.assigned = model.assigned + 1
        model.in_place.add_(1)
        model.behind.data.add_(1)
        return model.inner(x)

    model = Wrapped(count)
    for name in ("assigned", "in_place", "behind"):
        model.register_buffer(name, torch.zeros(1))
    found = dict(model.named_buffers())
    PGD(make_classifier(model), **QUICK).generate(images, labels)
    for name, buffer in model.named_buffers():
        assert buffer is found[name]
        assert buffer.item() == 0


def test_eot_preprocessing(images):
    """Rows that repeat images have gradients, and no single prediction per image."""
    x = np.repeat(images[:6], 3, axis=1)
    eot = EoTImageRotationPyTorch(nb_samples=3, angles=10.0, clip_values=(0, 1), label_type="classification")
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    classifier = make_classifier(model, input_shape=(3, 8, 8), preprocessing_defences=eot)
    y = np.arange(6) % 4
    assert np.abs(PGD(classifier, **QUICK).generate(x, y) - x).max() == pytest.approx(0.1, abs=1e-6)
    for attack, labels in ((PGD(classifier, **QUICK), None), (PGD(classifier, num_random_init=2, **QUICK), y)):
        with pytest.raises(ValueError, match=r"estimator must predict one row for each image, got \d+ rows for \d+"):
            attack.generate(x, labels)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.SoftMarginLoss()])
def test_one_output_unit_that_nothing_explains(images, labels, loss):
    classifier = make_classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 1)), loss=loss, nb_classes=2)
    with pytest.raises(ValueError, match="estimator must have two outputs, or one output and BCELoss"):
        PGD(classifier, **QUICK).generate(images, labels % 2)


@pytest.mark.parametrize("kind", [np.uint16, np.uint64, ">i4", ">f8", bool, np.int8])
def test_label_types(classifier, images, labels, kind):
    expected = PGD(classifier, **QUICK).generate(images, labels % 2)
    assert np.array_equal(PGD(classifier, **QUICK).generate(images, (labels % 2).astype(kind)[::-1][::-1]), expected)
    mask = np.broadcast_to((np.arange(8) > 3).astype(">f4"), (1, 8, 8))[:, ::-1]
    PGD(classifier, **QUICK).generate(images, labels, mask=mask)


def test_numpy_scalars_as_parameters(classifier, images, labels):
    expected = PGD(classifier, num_random_init=1, **QUICK)
    odd = PGD(
        classifier,
        eps=np.float64(0.1),
        eps_step=np.float64(0.03),
        max_iter=np.int64(5),
        num_random_init=np.int64(1),
        targeted=np.bool_(False),
        verbose=np.bool_(False),
    )
    single = PGD(
        classifier, eps=np.float32(0.1), eps_step=np.float32(0.03), max_iter=5, num_random_init=1, verbose=False
    )
    np.random.seed(1)
    images_expected = expected.generate(images, labels)
    for attack in (odd, single):
        np.random.seed(1)
        assert np.abs(attack.generate(images, labels) - images_expected).max() < 1e-6
    assert np.array_equal(PGD(classifier, eps=0.0, random_eps=True, verbose=False).generate(images, labels), images)


@pytest.mark.parametrize("norm", [1.01, 1.1, 2, 50, 300])
@pytest.mark.parametrize("scale", [1e-30, 1.0])
def test_extreme_norms_and_gradients_move_within_the_budget(norm, scale):
    x, grad = torch.full((3, 40), 0.5), torch.randn(3, 40) * scale
    space = ball(norm, x, 0.05)
    adv = space.settle(space.ascend(x, grad, 0.05))
    length = lp_norm(adv.double() - x.double(), norm)
    assert (length <= 0.05).all()
    assert (length > 0.04).all()


def test_infinite_gradients_still_move():
    x, grad = torch.full((1, 4), 0.5), torch.tensor([[torch.inf, 1.0, -1.0, 0.0]])
    for norm in (1.0, 1.5, 2.0, torch.inf):
        steps, adv = PGDSteps(ball(norm, x, 0.1), None, 0.1), x
        for i in range(2):
            adv = steps.next(i, adv, grad.clone(), torch.zeros(1))
        assert steps.tainted.isnan().all()
        assert adv[0, 0] > 0.59


@pytest.mark.parametrize("norm", [1.5, 2, 3])
def test_box_holds_at_any_offset(norm):
    low, high = torch.tensor(-2.1179039), torch.tensor(2.2489083)
    x = torch.rand(20, 30) * (high - low) + low
    x = x.clamp(low, high)
    space = ball(norm, x, 80.0, low, high)
    adv = space.settle(space.ascend(x, torch.randn(20, 30), 80.0))
    assert adv.min() >= low
    assert adv.max() <= high


def test_default_dtype_does_not_leak_in(classifier, images, labels):
    torch.set_default_dtype(torch.float64)
    try:
        adv = PGD(classifier, num_random_init=1, seed=0, **QUICK).generate(images, labels)
    finally:
        torch.set_default_dtype(torch.float32)
    assert adv.dtype == np.float32


@pytest.mark.parametrize("attack", [PGD, FGSM])
def test_the_warning_points_at_the_caller(images, labels, attack):
    classifier = make_classifier(Wrapped(not_a_number))
    with pytest.warns(RuntimeWarning, match="10 of 10 samples") as caught:
        attack(classifier).generate(images, labels)
    assert caught[0].filename == __file__


def test_inputs_of_different_sizes_go_through_art():
    """Object arrays, as ART's speech estimators take them."""

    class Ragged(LossGradientsMixin, BaseEstimator):
        input_shape = (None,)

        def predict(self, x, **kwargs):
            return x

        def fit(self, x, y, **kwargs):
            raise TypeError("not a model")

        def loss_gradient(self, x, y, **kwargs):
            gradients = np.empty(len(x), dtype=object)
            gradients[:] = [np.cos(row * y[i]).astype(object) for i, row in enumerate(x)]
            return gradients

    x = np.empty(3, dtype=object)
    x[:] = [np.linspace(0.2, 0.8, 5 + i) for i in range(3)]
    estimator = Ragged(model=None, clip_values=(0.0, 1.0))
    ours, theirs = (
        a(estimator, eps=0.05, batch_size=1).generate(x, np.array([1, 4, 9])) for a in (FGSM, FastGradientMethod)
    )
    for mine, his, clean in zip(ours, theirs, x, strict=True):
        assert np.array_equal(mine, his)
        assert np.abs(mine - clean).max() == pytest.approx(0.05)
    with pytest.raises(TypeError, match="x must be one array of images of equal shape, got an object array"):
        PGD(estimator, verbose=False).generate(x, np.array([1, 4, 9]))
    with pytest.raises(ValueError, match="num_random_init must be 0 for an object array"):
        FGSM(estimator, num_random_init=1).generate(x, np.array([1, 4, 9]))


@pytest.mark.parametrize("targeted", [False, True])
def test_a_class_ruled_out_leaves_the_loss_of_the_others(targeted):
    """Minus infinity times a share of nothing is NaN, of which no step size rule can tell better from worse."""
    scores = torch.tensor([[1.0, 2.0, 0.5, -torch.inf], [3.0, 0.1, 0.2, -torch.inf]], requires_grad=True)
    y = torch.tensor([1, 0])
    criterion = Criterion(torch.nn.functional.one_hot(y, 4).float(), -1 if targeted else 1, "cross_entropy")
    expected = nn.functional.cross_entropy(scores, y, reduction="none") * (-1 if targeted else 1)
    found = criterion.values(scores, slice(0, 2))
    torch.testing.assert_close(found, expected)
    slopes = [torch.autograd.grad(v.sum(), scores)[0] for v in (found, expected)]
    torch.testing.assert_close(*slopes)
