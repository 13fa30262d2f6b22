"""How a model in training does on data it is not trained on: clean, under PGD and under domain shift."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor

from art_domainrand.attacks.pgd import PGD
from art_domainrand.core.arrays import Array, from_array
from art_domainrand.core.checks import Text, require
from art_domainrand.core.labels import correct
from art_domainrand.estimators import predict
from art_domainrand.preprocessors.domain_randomization import DomainRandomization
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.training.trainer.options import FAST_STEP, TINY

PGD_STEPS = 10
# Fast training has overfitted to its own one-step attack when PGD breaks this much more than that attack (Wong et al.
# 2020, section 5: robust accuracy falls to zero within an epoch while the one-step accuracy rises) ...
OVERFIT_GAP = 0.2
# ... and PGD leaves no more than this share of the one-step accuracy, or this much less than PGD left before.
OVERFIT_SHARE, OVERFIT_FALL = 0.5, 0.1


@dataclass(frozen=True)
class Validator:
    """Measures accuracies in [0, 1] on ``x`` (N, C, H, W) and class indices ``y`` (N,).

    Draws and starts never change, so that epochs can be compared.
    """

    classifier: PyTorchClassifier
    x: Array
    y: Array
    attack: Any
    pipeline: Pipeline | None
    seed: int
    batch_size: int

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """Images and class indices as tensors."""
        return from_array(self.x), from_array(self.y)

    def measure(self) -> dict[str, float]:
        """``clean``, ``robust`` (PGD of ten steps from a random start), ``fast`` (one step) and ``shift`` accuracy."""
        found = {"clean": self.accuracy(self.x)} | self.attacked()
        if self.pipeline is not None:
            shifted = DomainRandomization.for_estimator(self.classifier, self.pipeline, seed=self.seed)
            found["shift"] = self.accuracy(shifted(self.x)[0])
        return found

    def attacked(self) -> dict[str, float]:
        """``robust`` (PGD of ten steps from a random start) and ``fast`` (one step of 1.25 eps from one) accuracy.

        For an attack on the domain ``robust`` is the accuracy under it, and there is no ``fast``.
        """
        if "eps" not in self.attack.reach:
            own: Any = copy(self.attack)
            own.seed, own.batch_size, own.verbose = self.seed, self.batch_size, False
            return {"robust": self.accuracy(own.generate(self.x, self.y))}
        found = {}
        for name, steps, size in (("robust", PGD_STEPS, 2.5 / PGD_STEPS), ("fast", 1, FAST_STEP)):
            attack = PGD(
                self.classifier,
                self.attack.norm,
                self.attack.eps,
                self.attack.eps * size + TINY,
                max_iter=steps,
                num_random_init=1,
                batch_size=self.batch_size,
                seed=self.seed,
                verbose=False,
            )
            found[name] = self.accuracy(attack.generate(self.x, self.y))
        return found

    def accuracy(self, x: Array) -> float:
        """The share of the images ``x`` that are classified as ``y`` says."""
        return float(correct(predict(self.classifier, x, batch_size=self.batch_size), self.y).mean())


def validation_pair(data: Any, indices: Callable[[Any, int], Tensor]) -> tuple[Array, Array]:
    """Images (N, ...) float32 and class indices (N,) of what a user gave as validation data; ValueError for no pair."""
    pair = isinstance(data, (tuple, list)) and len(data) == 2
    require(pair, "validation_data", "be a pair of images and labels", Text(type(data).__name__))
    x = np.ascontiguousarray(data[0], dtype=np.float32)
    require(len(x) > 0, "validation_data", "hold at least one image", 0)
    return x, indices(data[1], len(x)).numpy()


def measured(
    row: dict[str, float], history: list[dict[str, float]], validator: Validator | None, watcher: Validator | None
) -> dict[str, float]:
    """What an epoch comes to beyond the training's own ``row``, after those of ``history``.

    ``watcher`` measures some training images where there is no ``validator``. Warns of catastrophic overfitting.
    """
    if validator is not None:
        found, names = validator.measure(), ("robust", "fast")
    elif watcher is not None:
        found = {f"train_{name}": value for name, value in watcher.attacked().items()}
        names = ("train_robust", "train_fast")
    else:
        return {}
    overfitted = is_overfitted([*history, row | found], *names)
    if overfitted:
        warn_of_overfitting(found, *names)
    return found | {"overfitted": float(overfitted)}


def is_overfitted(history: list[dict[str, float]], robust: str = "robust", fast: str = "fast") -> bool:
    """Whether the last epoch shows catastrophic overfitting: PGD breaks what one step does not.

    Epochs of an eps curriculum's warm-up are not judged: they were trained at a smaller eps than is measured.
    """
    now = history[-1]
    if not {robust, fast} <= set(now) or now.get("eps_share", 1.0) < 1 or now[fast] - now[robust] < OVERFIT_GAP:
        return False
    before = max((row[robust] for row in history[:-1] if robust in row), default=0.0)
    return now[robust] <= OVERFIT_SHARE * now[fast] or now[robust] <= before - OVERFIT_FALL


def warn_of_overfitting(row: dict[str, float], robust: str = "robust", fast: str = "fast") -> None:
    """Say what :func:`is_overfitted` found, and what helps."""
    warnings.warn(
        f"catastrophic overfitting: {row[fast]:.1%} accuracy under one step, {row[robust]:.1%} under PGD-{PGD_STEPS}; "
        'lower the learning rate or eps, raise eps_epochs, or train with objective="madry"',
        RuntimeWarning,
        stacklevel=2,
    )
