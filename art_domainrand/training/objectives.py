"""What adversarial training minimizes: functions of the views of a batch, one table line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Forward = Callable[[Tensor], Tensor]
LossOf = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Views:
    """A batch as the objective sees it, every tensor (B, ...); ``y`` holds class indices (B,).

    ``clean`` are the images as given, ``randomized`` and ``again`` two draws of the pipeline, ``adversarial`` the
    attack's examples of the randomized images.
    """

    clean: Tensor
    randomized: Tensor
    again: Tensor | None
    adversarial: Tensor
    y: Tensor


@dataclass(frozen=True)
class Objective:
    """``loss(forward, views, loss_of, weight)`` returns a scalar and the scores (B, K) that the accuracy is taken of.

    ``attacked`` is the share of a batch that needs adversarial examples, ``draws`` how many draws of the pipeline it
    takes, and ``weight`` the default weight of the second term.
    """

    loss: Callable[[Forward, Views, LossOf, float], tuple[Tensor, Tensor]]
    attacked: float = 1.0
    draws: int = 1
    weight: float = 0.0


def standard(forward: Forward, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """The loss on a batch that is part adversarial (half), part randomized and part clean (a quarter each).

    Goodfellow et al. 2015, section 6, as ART's AdversarialTrainer does it with ``ratio=0.5``. The adversarial part of
    ``views`` comes first.
    """
    attacked, quarter = len(views.adversarial), (len(views.y) - len(views.adversarial)) // 2
    rest = len(views.y) - quarter
    x = torch.cat((views.adversarial, views.randomized[attacked:rest], views.clean[rest:]))
    scores = forward(x)
    return loss_of(scores, views.y), scores


def madry(forward: Forward, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """The loss on adversarial examples alone (Madry et al. 2018, equation 1)."""
    scores = forward(views.adversarial)
    return loss_of(scores, views.y), scores


def trades(forward: Forward, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """Natural loss plus ``weight`` times KL(natural || adversarial) (Zhang et al. 2019, equation 5)."""
    natural, adversarial = forward(torch.cat((views.randomized, views.adversarial))).chunk(2)
    return loss_of(natural, views.y) + weight * divergence(adversarial, natural), natural


def mart(forward: Forward, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """Boosted cross-entropy on adversarial examples plus a KL weighted by misclassification (Wang et al. 2020, eq. 11).

    The boosted term is -log p_y - log(1 - max over others of p) on the adversarial, and every sample's KL counts
    1 - p_y on the natural image.
    """
    natural, adversarial = forward(torch.cat((views.randomized, views.adversarial))).chunk(2)
    label = views.y.unsqueeze(1)
    probability = adversarial.softmax(1)
    other = probability.scatter(1, label, 0.0).amax(1)
    boosted = functional.cross_entropy(adversarial, views.y) - torch.log(1 - other + 1e-12).mean()
    missed = 1 - natural.softmax(1).gather(1, label).squeeze(1)
    each = functional.kl_div(adversarial.log_softmax(1), natural.softmax(1), reduction="none").sum(1)
    return boosted + weight * (each * missed).mean(), natural


def consistency(forward: Forward, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """Adversarial loss plus ``weight`` times the Jensen-Shannon divergence of clean image and two draws (AugMix).

    Hendrycks et al. 2020, equation 3, whose augmentations are the pipeline here.
    """
    assert views.again is not None
    x = torch.cat((views.clean, views.randomized, views.again, views.adversarial))
    clean, first, second, adversarial = forward(x).chunk(4)
    probabilities = [scores.softmax(1) for scores in (clean, first, second)]
    middle = (sum(probabilities) / 3).clamp(1e-7, 1).log()  # type: ignore[union-attr]
    apart = sum(functional.kl_div(middle, p, reduction="batchmean") for p in probabilities) / 3
    return loss_of(adversarial, views.y) + loss_of(clean, views.y) + weight * apart, clean


def divergence(scores: Tensor, target: Tensor) -> Tensor:
    """KL(softmax(target) || softmax(scores)), the mean over the batch."""
    return functional.kl_div(scores.log_softmax(1), target.softmax(1), reduction="batchmean")


OBJECTIVES: dict[str, Objective] = {
    "standard": Objective(standard, attacked=0.5),
    "madry": Objective(madry),
    "trades": Objective(trades, weight=6.0),
    "mart": Objective(mart, weight=5.0),
    "consistency": Objective(consistency, draws=2, weight=12.0),
}
"""Name -> objective; "fast" and "free" of the trainer are ways to find the adversarial examples of "madry"."""
