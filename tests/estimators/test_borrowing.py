"""Several threads at one estimator, and models that differentiate their own parameters."""

import threading

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentPyTorch
from art.estimators.classification import EnsembleClassifier
from torch import nn

from art_domainrand import FGSM, PGD, AutoPGD, MinimumNorm, StrongestAttack
from art_domainrand.estimators import open_estimator

from support.attacks import RowWise, some_images
from support.estimators import CLASSES, make_classifier, wrap

QUICK = {"eps": 0.1, "eps_step": 0.03, "max_iter": 4, "verbose": False}


def conv_classifier():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Softplus(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, CLASSES)
    )
    classifier = make_classifier(model)
    model.train()
    model[3].eval()
    model[0].bias.requires_grad_(False)
    model[5].weight.grad = torch.ones_like(model[5].weight)
    return classifier


def state(model):
    return (
        [m.training for m in model.modules()],
        [(p.requires_grad, p.grad, p.stride(), p.data_ptr()) for p in model.parameters()],
        [b.clone() for b in model.buffers()],
    )


def assert_as_found(model, before):
    training, parameters, buffers = state(model)
    assert training == before[0]
    for found, was in zip(parameters, before[1], strict=True):
        assert (found[0], found[2], found[3]) == (was[0], was[2], was[3])
        assert found[1] is was[1]
    assert all(torch.equal(a, b) for a, b in zip(buffers, before[2], strict=True))


def overlapping(first, second):
    """Enter ``first``, enter ``second`` in another thread, leave ``first``, then leave ``second``."""
    inside, leave = threading.Event(), threading.Event()

    def other():
        with second:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with first:
        thread.start()
        assert inside.wait(10)
    yield "one left"
    leave.set()
    thread.join(10)
    yield "both left"


@pytest.mark.parametrize("memory_format", [None, "channels_last"])
@pytest.mark.parametrize("second", ["same", "ensemble", "another classifier of the model"])
def test_the_last_one_out_gives_back(second, memory_format):
    classifier = conv_classifier()
    model = classifier.model
    other = {
        "same": lambda: classifier,
        "ensemble": lambda: EnsembleClassifier([classifier], channels_first=True, clip_values=(0, 1)),
        "another classifier of the model": lambda: wrap(model),
    }[second]()
    before = state(model)
    steps = overlapping(open_estimator(classifier, memory_format), open_estimator(other, memory_format))
    next(steps)
    assert not any(m.training for m in model.modules()), "the other one is still at work in evaluation mode"
    assert not any(p.requires_grad for p in model.parameters())
    next(steps)
    assert_as_found(model, before)
    assert "forward" not in vars(classifier._model)


def test_threads_attack_one_estimator():
    classifier, x = conv_classifier(), some_images(16)
    y = np.arange(16) % CLASSES
    before = state(classifier.model)
    options = QUICK | {"max_iter": 12, "seed": 0, "num_random_init": 2}
    makes = [
        lambda: PGD(classifier, memory_format="channels_last", **options),
        lambda: PGD(classifier, **options),
        lambda: FGSM(classifier, eps=0.1, minimal=True),
        lambda: AutoPGD(classifier, eps=0.1, max_iter=10, nb_random_init=1, verbose=False, seed=0),
    ]
    expected = [make().generate(x, y) for make in makes]
    found, start = {}, threading.Barrier(len(makes))

    def work(i):
        start.wait()
        found[i] = [makes[i]().generate(x, y) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(makes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert_as_found(classifier.model, before)
    for i, images in found.items():
        assert len(images) == 3
        for adv in images:
            # The layout of the weights that another thread asks for rounds otherwise, and a gradient near zero flips.
            assert (np.abs(adv - expected[i]) > 1e-4).mean() < 0.02


class Adapting(nn.Module):
    """Test-time adaptation: scores after a step of entropy minimization in the weights, made for this batch alone.

    ``way`` is how the gradient is taken, and whether images are cut off first.
    """

    def __init__(self, way):
        super().__init__()
        self.inner, self.way = RowWise(), way

    def forward(self, x):
        inner = self.inner
        with torch.enable_grad():
            shown = x.detach() if "cut" in self.way else x
            parameters = [inner.first, inner.second]
            probability = inner(shown).softmax(1)
            entropy = -(probability * probability.log()).sum(1).mean()
            if "backward" in self.way:
                inner.zero_grad()
                entropy.backward()
                steps = [p.grad for p in parameters]
            else:
                steps = torch.autograd.grad(entropy, parameters)
        moved = {name: p - 0.5 * g for (name, p), g in zip(inner.named_parameters(), steps, strict=True)}
        return torch.func.functional_call(inner, moved, (x,))


class Tent(nn.Module):
    """TENT (Wang et al. 2021): an optimizer of the model's own moves the weights, and they stay moved."""

    def __init__(self):
        super().__init__()
        self.inner = RowWise()
        self.optimizer = torch.optim.SGD(self.inner.parameters(), 0.05)

    def forward(self, x):
        with torch.enable_grad():
            probability = self.inner(x.detach()).softmax(1)
            (-(probability * probability.log()).sum(1).mean()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return self.inner(x)


@pytest.mark.parametrize(
    ("way", "ensemble"),
    [
        ("grad", False),
        ("cut grad", False),
        ("cut grad", True),
        ("backward", False),  # frees the graph of ART's own preprocessing, so that ART itself fails
        ("cut backward", False),
        ("cut backward", True),
    ],
)
def test_adaptation_at_test_time(way, ensemble):
    """The gradient is that of the adapted model: ART's, where ART's is not that of the entropy as well."""
    x, y = some_images(6), np.arange(6) % CLASSES
    classifier, plain = wrap(Adapting(way)), wrap(RowWise())
    before = state(classifier.model)
    values = [p.detach().clone() for p in classifier.model.parameters()]
    clean_way = wrap(Adapting("cut grad"))  # a backward pass inside the model leaves ART's images another gradient
    target = EnsembleClassifier([classifier], channels_first=True, clip_values=(0, 1)) if ensemble else classifier
    for _ in range(2):
        theirs = ProjectedGradientDescentPyTorch(clean_way, **QUICK).generate(x, y)
        assert np.abs(PGD(target, **QUICK).generate(x, y) - theirs).max() < 1e-5
        assert_as_found(classifier.model, before)
    assert np.abs(theirs - PGD(plain, **QUICK).generate(x, y)).max() > 1e-3, "adaptation changes nothing here"
    for make in (
        lambda e: AutoPGD(e, eps=0.1, max_iter=4, nb_random_init=1, verbose=False, seed=0),
        lambda e: StrongestAttack(e, eps=0.1, budget="quick", verbose=False, seed=0),
        lambda e: MinimumNorm(e, 2, 8, verbose=False, seed=0),
        lambda e: PGD(e, early_stop=True, num_random_init=2, seed=0, **QUICK),
    ):
        make(target).generate(x, y)
    assert_as_found(classifier.model, before)
    assert all(torch.equal(p, v) for p, v in zip(classifier.model.parameters(), values, strict=True))


def test_adaptation_that_stays():
    """The first gradient is ART's, and the weights that the model has moved come back."""
    x, y = some_images(6), np.arange(6) % CLASSES
    model = Tent()
    values = [p.detach().clone() for p in model.parameters()]
    ours = FGSM(wrap(model), eps=0.1).generate(x, y)
    assert all(torch.equal(p, v) for p, v in zip(model.parameters(), values, strict=True))
    theirs = FastGradientMethod(wrap(Tent()), eps=0.1).generate(x, y)
    assert (np.abs(ours - theirs) < 1e-6).mean() > 0.99
    adapted = []
    model.inner.register_forward_pre_hook(lambda module, inputs: adapted.append(module.first.detach().clone()))
    PGD(wrap(model), **QUICK).generate(x, y)
    assert len({tuple(first.flatten().tolist()) for first in adapted}) >= 4, "the model adapts at every step"
    assert all(torch.equal(p, v) for p, v in zip(model.parameters(), values, strict=True))
    assert all(p.grad is None for p in model.parameters())
