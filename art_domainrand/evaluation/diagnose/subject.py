"""The estimator and the images that :func:`~art_domainrand.diagnose` looks at, and what it measures of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from art.estimators.classification.classifier import ClassGradientsMixin
from torch import Tensor

from art_domainrand.core.labels import correct
from art_domainrand.core.losses import margin
from art_domainrand.core.norms import lp_norm
from art_domainrand.estimators import Evaluated, Gradients, is_device_estimator
from art_domainrand.estimators.scores import class_scores

Measured = TypeVar("Measured")

# How often the same images are predicted to see whether the answer stays the same (AutoAttack, check_randomized).
PREDICTIONS = 5
# Draws that attacks average the gradient over if it does not.
EOT_SAMPLES = 8


@dataclass(frozen=True)
class Slopes:
    """Of the gradient at each image (N,): its L2 ``length``, the share of ``zeros``, and of entries not ``finite``."""

    length: Tensor
    zeros: Tensor
    infinite: Tensor

    @classmethod
    def of(cls, gradient: Tensor) -> Slopes:
        """Of gradients (N, ...), taken to the host."""
        rows = gradient.detach().flatten(1).float().cpu()
        length = lp_norm(rows.nan_to_num(0, 0, 0), 2).flatten()
        return cls(length, (rows == 0).float().mean(1), (~rows.isfinite()).float().mean(1))


@dataclass(frozen=True)
class Subject:
    """An estimator opened for attacks (``source``), images ``x`` (N, ...), and labels ``y``, one-hot or soft (N, K)."""

    estimator: Any
    source: Gradients
    x: Tensor
    y: Tensor
    norm: Any
    eps: float
    max_iter: int
    batch_size: int
    seed: int | None

    @property
    def labels(self) -> Tensor:
        """Class indices (N,)."""
        return self.y.argmax(1)

    @property
    def has_margin(self) -> bool:
        """Whether the margin can be differentiated, not only the estimator's own loss."""
        return is_device_estimator(self.estimator) or isinstance(self.estimator, ClassGradientsMixin)

    @property
    def width(self) -> float | None:
        """The range of pixels, the widest if they differ; None if the estimator does not say."""
        bounds = self.estimator.clip_values
        return None if bounds is None else float(np.max(np.subtract(bounds[1], bounds[0])))

    def predictions(self, x: Tensor, times: int = 1) -> Tensor:
        """What the estimator predicts (times, N, K), each time anew."""
        images = x.cpu().numpy()

        def once() -> Tensor:
            # Some estimators, such as ensembles, heed no batch_size: they are shown no more at a time.
            parts = [images[i : i + self.batch_size].copy() for i in range(0, len(images), self.batch_size)]
            shown = [self.estimator.predict(part, batch_size=self.batch_size) for part in parts]
            return torch.as_tensor(np.concatenate(shown))

        found = [once() for _ in range(times)]
        loss = getattr(self.estimator, "_loss", None)
        scores = torch.stack([class_scores(one, len(x), loss) for one in found]).float().cpu()
        undefined = int(scores.isnan().any(2).any(0).sum())
        if undefined:
            raise ValueError(f"estimator must predict numbers, got NaN for {undefined} of {len(x)} images")
        return scores

    def correct(self, x: Tensor, varies: bool) -> Tensor:
        """Which images are classified correctly (N,); by the mean over several predictions if they vary."""
        return correct(self.predictions(x, PREDICTIONS if varies else 1).mean(0), self.labels)

    def attacked(self, attack: Any) -> Tensor:
        """The adversarial examples of an attack."""
        return torch.from_numpy(attack.generate(self.x, self.y))

    def common(self, varies: bool) -> dict[str, Any]:
        """Options of every attack."""
        return {"batch_size": self.batch_size, "seed": self.seed, "eot_samples": EOT_SAMPLES if varies else 1}

    def scores(self) -> Tensor:
        """The scores (N, K) that the loss sees."""
        return torch.cat(self.in_batches(lambda rows: self.evaluate(rows, None).scores.cpu()))

    def slopes(self, *, of_margin: bool) -> Slopes:
        """The gradient at every image, of the margin or of the estimator's loss.

        The loss is taken as a mean over the batch, as it usually is, and scaled back to one image.
        """

        def measure(rows: slice) -> Slopes:
            gradient = self.evaluate(rows, self.objective(rows) if of_margin else None).gradient
            return Slopes.of(gradient if of_margin else gradient * len(gradient))

        parts = self.in_batches(measure)
        return Slopes(*(torch.cat([getattr(part, name) for part in parts]) for name in ("length", "zeros", "infinite")))

    def evaluate(self, rows: slice, objective: Any) -> Evaluated:
        """Scores, values and gradient at some of the images."""
        labels = self.source.labels(self.y[rows].to(self.source.device))
        return self.source.evaluate(self.x[rows].to(self.source.device), labels, 1, objective)

    def objective(self, rows: slice) -> Any:
        """The margin of some of the images, as a source takes it."""
        labels = self.labels[rows].to(self.source.device)
        return lambda scores, part: margin(scores, labels[part])

    def in_batches(self, measure: Callable[[slice], Measured]) -> list[Measured]:
        """What ``measure`` returns for each batch."""
        return [measure(slice(i, i + self.batch_size)) for i in range(0, len(self.x), self.batch_size)]
