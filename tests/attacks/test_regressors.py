"""Estimators without classes: each output is compared with its own target, and each sample keeps its best restart."""

import re
import warnings

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescentNumpy
from art.estimators.object_detection import PyTorchObjectDetector
from art.estimators.regression import PyTorchRegressor
from torch import nn

from art_domainrand import FGSM, PGD

N, FEATURES = 6, 9
X = np.random.default_rng(0).random((N, FEATURES), np.float32) * 0.6 + 0.2
TARGETS = np.random.default_rng(1).normal(size=N).astype(np.float32)


def regressor(model: nn.Module) -> PyTorchRegressor:
    return PyTorchRegressor(model, nn.MSELoss(), (FEATURES,), clip_values=(0, 1), device_type="cpu")


def linear(outputs: int = 1) -> nn.Linear:
    model = nn.Linear(FEATURES, outputs)
    nn.init.normal_(model.weight, generator=torch.Generator().manual_seed(0))
    return model


FORMS = {
    "(N,)": lambda y: y,
    "(N, 1)": lambda y: y[:, None],
    "float64": lambda y: y[:, None].astype(np.float64),
    "tensor": lambda y: torch.from_numpy(y)[:, None],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("attack", [FGSM, PGD])
def test_the_sign_of_the_gradient_is_that_of_the_samples_own_error(attack, form):
    """The gradient of (w x + b - y)^2 is 2 (w x + b - y) w, for each sample by its own target."""
    model = linear()
    error = model(torch.from_numpy(X)).detach().numpy()[:, 0] - TARGETS
    expected = X + 0.1 * np.sign(error[:, None] * model.weight.detach().numpy())
    attack = attack(regressor(model), eps=0.1, eps_step=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of torch, about targets that it broadcasts
        np.testing.assert_allclose(attack.generate(X, FORMS[form](TARGETS)), expected, atol=1e-6)


def test_several_outputs():
    model, y = linear(3), np.random.default_rng(2).normal(size=(N, 3)).astype(np.float32)
    error = model(torch.from_numpy(X)).detach().numpy() - y
    expected = X + 0.1 * np.sign(error @ model.weight.detach().numpy())
    np.testing.assert_allclose(FGSM(regressor(model), eps=0.1).generate(X, y), expected, atol=1e-6)


def test_the_images_are_arts_for_targets_in_one_row():
    estimator = regressor(nn.Sequential(nn.Linear(FEATURES, 8), nn.Softplus(), nn.Linear(8, 1)))
    options = {"eps": 0.1, "eps_step": 0.03, "max_iter": 5, "verbose": False}
    theirs = ProjectedGradientDescentNumpy(estimator, **options).generate(X, TARGETS)
    np.testing.assert_allclose(PGD(estimator, **options).generate(X, TARGETS[:, None]), theirs, atol=1e-6)


def test_own_predictions_have_no_gradient_and_that_is_said():
    estimator = regressor(linear())
    with pytest.warns(RuntimeWarning, match=re.escape("give y, or num_random_init >= 1")):
        np.testing.assert_array_equal(FGSM(estimator, eps=0.1).generate(X), X)
    moved = FGSM(estimator, eps=0.1, num_random_init=1, seed=0).generate(X)
    assert (np.abs(estimator.predict(moved) - estimator.predict(X)) > 0.01).all()


class Wavy(nn.Module):
    """An output with many hills."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(FEATURES, 4, generator=torch.Generator().manual_seed(3)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(4 * x.flatten(1) @ self.weight).sum(1, keepdim=True)


class WavyDetector(nn.Module):
    """The least of a detector, by the loss of :class:`Wavy`; as torchvision's, it samples at random in training."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Wavy()

    def forward(self, images: torch.Tensor, targets: list[dict[str, torch.Tensor]] | None = None):
        kept = torch.rand(()) * 0 + 1  # a number of torch's generator, as the sampling of proposals takes
        found = self.inner(torch.stack(list(images)))[:, 0]
        if not self.training:
            return [{"boxes": torch.ones(1, 4), "labels": torch.ones(1), "scores": torch.ones(1)} for _ in images]
        heights = torch.stack([target["boxes"][0, 0] for target in targets])
        return {"loss": (kept * (found - heights) ** 2).sum()}


def boxes(values: np.ndarray) -> list[dict[str, np.ndarray]]:
    return [
        {"boxes": np.full((1, 4), value, np.float32), "labels": np.ones(1, np.int64), "scores": np.ones(1)}
        for value in values
    ]


def detector() -> PyTorchObjectDetector:
    return PyTorchObjectDetector(
        WavyDetector(), (1, 3, 3), clip_values=(0, 1), attack_losses=("loss",), device_type="cpu", channels_first=True
    )


CASES = {
    "regressor": (lambda: regressor(Wavy()), X, TARGETS[:, None]),
    "detector": (detector, X.reshape(N, 1, 3, 3), boxes(TARGETS)),
}


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("attack", [FGSM, PGD])
def test_each_sample_keeps_the_restart_of_largest_loss(attack, kind, targeted):
    """What several restarts return is, sample by sample, the best of as many single runs from the same starts."""
    make, x, y = CASES[kind]
    estimator, k = make(), 6
    options = {"eps": 0.2, "batch_size": N, "targeted": targeted}
    options |= {"eps_step": 0.05, "max_iter": 3, "verbose": False} if attack is PGD else {}
    np.random.seed(0)
    together = attack(estimator, num_random_init=k, **options).generate(x, y)
    np.random.seed(0)
    runs = np.stack([attack(estimator, num_random_init=1, **options).generate(x, y) for _ in range(k)])
    error = np.array([((Wavy()(torch.from_numpy(run)).detach().numpy()[:, 0] - TARGETS) ** 2) for run in runs])
    best = (error.argmin if targeted else error.argmax)(0)
    assert len(set(best)) > 1, "another restart for each sample, or the test would be empty"
    np.testing.assert_array_equal(together, runs[best, np.arange(N)])


def test_comparing_restarts_leaves_the_global_generator_alone():
    make, x, y = CASES["detector"]
    estimator = make()
    state = torch.get_rng_state()
    estimator.compute_loss(x, y)
    assert not torch.equal(torch.get_rng_state(), state), "the detector draws"
    draws = estimator.compute_loss
    for restarts in (1, 2):
        torch.manual_seed(0)
        PGD(estimator, num_random_init=restarts, seed=0, max_iter=1, verbose=False).generate(x, y)
        after = torch.get_rng_state()
        torch.manual_seed(0)
        for _ in range(restarts):
            draws(x, y)
        assert torch.equal(torch.get_rng_state(), after), "the climbs draw, the comparison of their ends does not"
