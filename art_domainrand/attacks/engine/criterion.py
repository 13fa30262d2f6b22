"""What an attack wants: which labels to leave or reach, and by which loss."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from art_domainrand.core.checks import Text, require
from art_domainrand.core.losses import LOSSES, dlr_towards, log_odds, margin, targeted_dlr, tempered_log_odds

TARGETED_DLR = "targeted_dlr"
# Cross-entropy, and log-odds in place of it for each sample whose label is a single class.
UNSATURATED, TEMPERED = "unsaturated", "tempered"
ODDS = {UNSATURATED: log_odds, TEMPERED: tempered_log_odds}


@dataclass(frozen=True)
class Criterion:
    """The labels ``y`` (B, K) of a batch, to leave, or with ``sign`` -1 to reach, and the loss that says how far it is.

    ``loss`` is a name in :data:`LOSSES`, a function of scores (b, K) and class indices (b,) to (b,), or None for the
    estimator's own. With ``towards`` (B,) the loss is the targeted difference of logits ratio, away from ``y`` and
    towards these classes, and with ``weights`` (B, K) it is the weighted sum of the scores; success stays what it is.
    """

    y: Tensor
    sign: int
    loss: Any = None
    towards: Tensor | None = None
    weights: Tensor | None = None

    def take(self, index: Tensor) -> "Criterion":
        """That of some of the samples; indices may repeat."""
        towards = None if self.towards is None else self.towards[index]
        weights = None if self.weights is None else self.weights[index]
        return Criterion(self.y[index], self.sign, self.loss, towards, weights)

    @property
    def has_values(self) -> bool:
        """Whether every sample has a value of its own, which the estimator's loss, one number, does not give."""
        return self.loss is not None or self.towards is not None or self.weights is not None

    def values(self, scores: Tensor, rows: slice) -> Tensor:
        """What to ascend, (b,), at the scores (b, K) of the samples ``rows``."""
        y = self.y[rows]
        if self.weights is not None:
            known = torch.where(scores.isfinite(), scores, 0.0)  # a class may be ruled out by a score of -inf
            return (known * self.weights[rows].to(scores.dtype)).sum(1)
        if self.towards is not None:
            return targeted_dlr(scores, y.argmax(1), self.towards[rows])
        if self.loss in ("cross_entropy", *ODDS):  # soft labels count as they are
            y = torch.nn.functional.pad(y, (0, scores.shape[1] - y.shape[1]))  # nb_classes need not be the outputs
            log_p = torch.log_softmax(scores, dim=1)
            # A class ruled out by a score of -inf costs nothing where it has no share of the label: 0 inf is NaN.
            value = -self.sign * torch.where(y > 0, y * log_p, 0.0).sum(1)
            if self.loss == "cross_entropy":
                return value
            return torch.where(y.amax(1) == 1, self.sign * ODDS[self.loss](scores, y.argmax(1)), value)
        if self.loss == "dlr" and self.sign < 0:
            return dlr_towards(scores, y.argmax(1))
        loss = LOSSES[self.loss] if isinstance(self.loss, str) else self.loss
        found = loss(scores, y.argmax(1))
        got = Text(f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__)
        fits = isinstance(found, Tensor) and found.shape == scores.shape[:1]
        require(fits, "loss", f"return one value per sample, shape ({len(scores)},)", got)
        return self.sign * found

    def judge(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Which samples succeed (B,), by the predicted class, and their margins (B,) to rank them.

        Where a score is NaN there is no prediction: that is no success, and ranks last.
        """
        label = self.y.argmax(1).to(scores.device)
        known = ~scores.isnan().any(1)
        hit = scores.argmax(1) == label
        strength = (self.sign * margin(scores, label)).float()  # some estimators predict in float64
        strength = strength.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        return (hit if self.sign < 0 else ~hit) & known, strength
