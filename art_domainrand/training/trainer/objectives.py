"""What adversarial training minimizes: functions of the views of a batch, one table line each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

ForwardViews = Callable[..., Tensor]
"""One or more views (B, ...) -> their scores (views * B, K), under one draw of the classifier's own preprocessors."""
LossOf = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Views:
    """A batch as the objective sees it, every tensor (B, ...); ``y`` holds class indices (B,).

    ``clean`` are the images as given, ``randomized`` and ``again`` two draws of the pipeline, ``adversarial`` the
    attack's examples of the first rows of the randomized images.
    """

    clean: Tensor
    randomized: Tensor
    again: Tensor | None
    adversarial: Tensor
    y: Tensor


@dataclass(frozen=True)
class TrainingObjective:
    """``loss(forward, views, loss_of, weight)`` returns a scalar and the scores (B, K) that the accuracy is taken of.

    ``attacked`` is the share of a batch that needs adversarial examples, ``draws`` how many draws of the pipeline it
    takes (the scores of randomized images are of the last), and ``weight`` the default weight of the second term, None
    where there is none. ``views`` is how many views of each image pass the model at once.
    """

    loss: Callable[[ForwardViews, Views, LossOf, float], tuple[Tensor, Tensor]]
    attacked: float = 1.0
    draws: int = 1
    weight: float | None = None
    views: int = 1


def standard(forward: ForwardViews, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """The loss on a batch that is part adversarial (half), part randomized and part clean (a quarter each).

    Goodfellow et al. 2015, section 6, as ART's AdversarialTrainer does it with ``ratio=0.5``. The adversarial part of
    ``views`` comes first.
    """
    attacked, quarter = len(views.adversarial), (len(views.y) - len(views.adversarial)) // 2
    rest = len(views.y) - quarter
    x = torch.cat((views.adversarial, views.randomized[attacked:rest], views.clean[rest:]))
    scores = forward(x)
    return loss_of(scores, views.y), scores


def madry(forward: ForwardViews, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """The loss on adversarial examples alone (Madry et al. 2018, equation 1)."""
    scores = forward(views.adversarial)
    return loss_of(scores, views.y), scores


def trades(forward: ForwardViews, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """Natural loss plus ``weight`` times KL(natural || adversarial) (Zhang et al. 2019, equation 5).

    As in ART's trainer the examples are the given attack's; the paper climbs the KL itself. Both halves pass the model
    at once, so that batch normalization sees them together.
    """
    natural, adversarial = forward(views.randomized, views.adversarial).chunk(2)
    return loss_of(natural, views.y) + weight * divergence(adversarial, natural).mean(), natural


def mart(forward: ForwardViews, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """Boosted cross-entropy on adversarial examples plus a KL weighted by misclassification (Wang et al. 2020, eq. 11).

    The boosted term is -log p_y - log(1 - max over others of p) on the adversarial, and every sample's KL counts
    1 - p_y on the natural image. log(1 - p) is taken from the scores: where p rounds to one, a logarithm of the rest
    would have gradients of 1e12.
    """
    natural, adversarial = forward(views.randomized, views.adversarial).chunk(2)
    label = views.y.unsqueeze(1)
    rival = adversarial.detach().scatter(1, label, -torch.inf).argmax(1, keepdim=True)
    others = adversarial.scatter(1, rival, -torch.inf).logsumexp(1) - adversarial.logsumexp(1)
    boosted = functional.cross_entropy(adversarial, views.y) - others.mean()
    missed = 1 - natural.softmax(1).gather(1, label).squeeze(1)
    return boosted + weight * (divergence(adversarial, natural) * missed).mean(), natural


def consistency(forward: ForwardViews, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """Adversarial and clean loss plus ``weight`` times the Jensen-Shannon divergence of clean image and two draws.

    AugMix (Hendrycks et al. 2020, equation 3), whose augmentations are the pipeline here.
    """
    assert views.again is not None
    scores = forward(views.clean, views.randomized, views.again, views.adversarial)
    clean, first, second, adversarial = scores.chunk(4)
    apart = spread_of(clean, first, second)
    return loss_of(adversarial, views.y) + loss_of(clean, views.y) + weight * apart, second


def mixing_consistency(forward: ForwardViews, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """Clean loss plus ``weight`` times the Jensen-Shannon divergence of clean image and two draws, without an attack.

    The loss of AugMix (Hendrycks et al. 2020, equation 3), and of PRIME; the pipeline is the one that is trained with.
    """
    assert views.again is not None
    clean, first, second = forward(views.clean, views.randomized, views.again).chunk(3)
    return loss_of(clean, views.y) + weight * spread_of(clean, first, second), second


def worst_consistency(forward: ForwardViews, views: Views, loss_of: LossOf, weight: float) -> tuple[Tensor, Tensor]:
    """Clean loss plus ``weight`` times the Jensen-Shannon divergence of clean image, a draw, and the worst draw.

    AugMax (Wang et al., NeurIPS 2021, equation 3; its normalization layers, DuBIN, are the model's affair): the attack
    is one on the domain, such as ``DomainAttack(classifier, preset("augmix"))``, and the pipeline the same one.
    """
    clean, drawn, worst = forward(views.clean, views.randomized, views.adversarial).chunk(3)
    return loss_of(clean, views.y) + weight * spread_of(clean, drawn, worst), drawn


def spread_of(*scores: Tensor) -> Tensor:
    """The mean Jensen-Shannon divergence of scores (B, K) of several views: that of each from their mean, averaged."""
    views = torch.stack(scores).log_softmax(2)
    middle = views.logsumexp(0) - math.log(len(scores))
    return functional.kl_div(middle.expand_as(views), views, reduction="none", log_target=True).sum(2).mean()


def divergence(scores: Tensor, target: Tensor) -> Tensor:
    """KL(softmax(target) || softmax(scores)) of every row (B,).

    From logarithms on both sides: the gradient of p log p is not a number where p has underflown to zero.
    """
    return functional.kl_div(scores.log_softmax(1), target.log_softmax(1), reduction="none", log_target=True).sum(1)


OBJECTIVES: dict[str, TrainingObjective] = {
    "standard": TrainingObjective(standard, attacked=0.5),
    "madry": TrainingObjective(madry),
    "trades": TrainingObjective(trades, weight=6.0, views=2),
    "mart": TrainingObjective(mart, weight=5.0, views=2),
    "consistency": TrainingObjective(consistency, draws=2, weight=12.0, views=4),
    "augmix": TrainingObjective(mixing_consistency, attacked=0.0, draws=2, weight=12.0, views=3),
    "augmax": TrainingObjective(worst_consistency, weight=10.0, views=3),
}
"""Name -> objective; "fast" and "free" of the trainer are ways to find the adversarial examples of "madry"."""
