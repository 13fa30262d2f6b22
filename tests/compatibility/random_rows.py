"""Rows of the contract: a model that draws noise at every call, behind what hides that from an attack."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from art.defences.postprocessor import Rounded
from art.defences.preprocessor import FeatureSqueezing
from art.estimators.classification import EnsembleClassifier
from compatibility.contract import (
    EPS,
    JUDGING,
    MakeAttack,
    N,
    Row,
    X,
    assert_attacked,
    classifier,
    name_of,
    one_draw,
    randomization,
    seeded,
    seen_by_the_model,
)
from torch import nn

from art_domainrand import DifferentiableDefence
from art_domainrand.attacks.engine.randomness import is_random
from art_domainrand.core.losses import margin
from art_domainrand.estimators import open_estimator, predict

from support.attacks import called_fooled
from support.estimators import cnn

Build = Callable[..., Any]
LEVELS = 255


class Noisy(nn.Module):
    """Adds noise from torch's global generator to its images."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = seeded(cnn())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x + 0.3 * torch.randn_like(x))


def rounded(defence: Any = None) -> Any:
    return classifier(defence, Noisy(), postprocessing_defences=Rounded(decimals=3))


def squeezing() -> FeatureSqueezing:
    return FeatureSqueezing((0, 1), bit_depth=8, apply_predict=True)


def squeezed(defence: Any = None) -> Any:
    """Behind ART's squeezing alone, or beside a ``defence`` in a chain, which ART takes in PyTorch alone."""
    return classifier(squeezing() if defence is None else [defence, DifferentiableDefence(squeezing())], Noisy())


def ensemble(defence: Any = None) -> Any:
    members = [classifier(defence, Noisy()) for _ in range(2)]
    return EnsembleClassifier(members, channels_first=True, clip_values=(0, 1))


def mean_prediction(estimator: Any, x: np.ndarray, times: int = 60) -> tuple[torch.Tensor, np.ndarray]:
    """The mean scores (n, K) over many predictions, and how often another class is predicted (n,)."""
    torch.manual_seed(0)
    scores = np.stack([predict(estimator, x) for _ in range(times)])
    mean = scores.mean(0)
    return torch.from_numpy(mean), (scores.argmax(2) != mean.argmax(1)).mean(0)


def noticed_and_not_taken_for_success(build: Build) -> Callable[[MakeAttack], None]:
    """A change of 1e-6 fools nobody, whatever single predictions say, and one of eps raises the mean margin."""

    def check(make: MakeAttack) -> None:
        estimator = build()
        mean, often = mean_prediction(estimator, X)
        y = mean.argmax(1)
        assert often[: N // 2].mean() > 0.05
        with open_estimator(estimator) as source:
            assert is_random(source, torch.from_numpy(X))
        asks = {"early_stop": True, "loss": "margin"} if name_of(make) in ("FGSM", "PGD") else {}
        few = slice(None, N // 2)  # who is not fooled costs an ensemble every attack it has
        found = called_fooled(make(estimator, eps=1e-6, **asks), X[few], y[few].numpy())
        assert not found[often[few] < 0.5].any()
        # An ensemble of attacks is over as soon as all are broken; at EPS two are not.
        eps = 3 * EPS if name_of(make) == "StrongestAttack" else EPS
        adversarial = make(estimator, eps=eps, eot_samples=2, **asks).generate(X, y.numpy())
        assert_attacked(X, adversarial, eps)
        after = mean_prediction(estimator, adversarial)[0]
        assert margin(after, y).mean() > margin(mean, y).mean()

    return check


def expected_of(defence: Any, change: Callable[[torch.Tensor], torch.Tensor], models: list[nn.Module]) -> np.ndarray:
    """In plain torch: the mean scores of noisy models on the held draw, after ART's DataLoader has drawn its number."""
    draw = defence.sample(N)
    with defence.replay(draw), torch.no_grad():
        seen = change(seen_by_the_model(defence, draw, torch.from_numpy(X)))
        scores = []
        for model in models:
            torch.empty((), dtype=torch.int64).random_()
            scores.append(model(seen))
    return torch.stack(scores).mean(0).numpy()


def same_as_in_plain_torch(
    build: Build, change: Callable[[torch.Tensor], torch.Tensor] = lambda x: x, models: int = 1, slack: float = 1e-4
) -> None:
    """Draw and noise are those that a model by itself would meet from the same generators."""
    defence, twin = randomization(), randomization()
    estimator, noisy = build(defence), [Noisy() for _ in range(models)]
    state = torch.get_rng_state()
    expected = expected_of(twin, change, noisy)
    torch.set_rng_state(state)
    with one_draw(defence):
        np.testing.assert_allclose(predict(estimator, X), expected, atol=slack)


def squeezed_with_randomization() -> None:
    with pytest.raises(NotImplementedError, match="combination of preprocessing types is not supported"):
        classifier([randomization(), squeezing()], Noisy()).predict(X)
    same_as_in_plain_torch(squeezed, lambda x: torch.round(x * LEVELS) / LEVELS, slack=0.05)


ROWS = [
    Row(
        "noise_postprocessed",
        "a random model behind a postprocessor",
        "yes; noticed as random either way",
        "successes are confirmed under fresh noise, `eot_samples` averages over it",
        lambda: same_as_in_plain_torch(rounded, slack=1e-3),
        noticed_and_not_taken_for_success(rounded),
        elsewhere=("test_randomness.py::test_luck_is_no_success",),
        attacks=(*JUDGING, "UnionAttack"),
    ),
    Row(
        "noise_numpy",
        "a random model behind a NumPy preprocessor",
        "with the preprocessor in a `DifferentiableDefence`",
        "successes are confirmed under fresh noise, `eot_samples` averages over it",
        squeezed_with_randomization,
        noticed_and_not_taken_for_success(squeezed),
        elsewhere=("test_randomness.py::test_luck_is_no_success",),
        attacks=JUDGING,
    ),
    Row(
        "noise_ensemble",
        "random models in an EnsembleClassifier",
        "in the members",
        "successes are confirmed under fresh noise, `eot_samples` averages over it",
        lambda: same_as_in_plain_torch(ensemble, models=2),
        noticed_and_not_taken_for_success(ensemble),
        elsewhere=("test_randomness.py::test_luck_is_no_success",),
        attacks=JUDGING,
    ),
]
