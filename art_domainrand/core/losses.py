"""Losses on class scores. Larger means closer to success for an untargeted attack; a targeted attack negates them.

Every function takes scores (B, K), K >= 2, and class indices (B,), and returns (B,). Scores are logits: what comes
after a softmax has lost the scale these losses are about.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]

# Keeps the difference of logits ratio finite where the leading scores tie (Croce & Hein's own constant).
TIE = 1e-12

# The standard deviation of a sample's leading scores above which they are tempered: hardly any of a network trained on
# adversarial examples spread as far. A class that is ruled out, by -65504 or the like, may be among them: it counts as
# so many times as far below the first as the third is. Two possible classes are one rival, which needs no temperature.
LEADING, FARTHEST, SPREAD, WIDEST = 4, 3.0, 5.0, 1e5


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Minus the log-probability of the label."""
    return torch.nn.functional.cross_entropy(scores, labels, reduction="none")


def log_odds(scores: Tensor, labels: Tensor) -> Tensor:
    """Logarithm of the odds against the label: ``log sum exp`` of the other scores minus the score of the label.

    Cross-entropy is its softplus: both rise together and their gradients have the same direction, but where
    cross-entropy is so small or so large that float32 no longer tells its values apart, this one still does.
    """
    own = scores.gather(1, labels.unsqueeze(1)).squeeze(1)
    return scores.scatter(1, labels.unsqueeze(1), -float("inf")).logsumexp(1) - own


def temperature(scores: Tensor) -> Tensor:
    """What scores are divided by so that the leading ones spread no more than those of a robust network, (B, 1).

    At least 1, which it is too where they spread more than any network's, and a constant to gradients.
    """
    leading = scores.detach().topk(min(LEADING, scores.shape[1]), dim=1).values
    below = leading - leading[:, :1]  # far from zero, the spread of one row alone is rounded otherwise
    spread = below.maximum(FARTHEST * below[:, :3].amin(dim=1, keepdim=True)).std(dim=1, keepdim=True)
    return torch.where((spread > SPREAD) & (spread < WIDEST), spread / SPREAD, 1.0)


def tempered_log_odds(scores: Tensor, labels: Tensor) -> Tensor:
    """:func:`log_odds` at the scores' own :func:`temperature`, times it.

    The larger the scores, the more the log-odds are the margin: only the best other class has a gradient. Here the
    others keep their part however large the scores are, and what climbs this is a way of its own beside the margin's.
    That scores be scaled before they saturate is MIFPE's idea (Yu & Xu 2023), which divides by the margin itself.
    """
    heat = temperature(scores)
    return heat.squeeze(1) * log_odds(scores / heat, labels)


def margin(scores: Tensor, labels: Tensor) -> Tensor:
    """Best other score minus the score of the label: positive where another class wins, zero where one ties with it.

    ``scores`` is (B, K) with K >= 2, ``labels`` (B,) class indices; returns (B,).
    """
    own = scores.gather(1, labels.unsqueeze(1))
    others = scores.scatter(1, labels.unsqueeze(1), -float("inf"))
    return others.amax(dim=1) - own.squeeze(1)


def dlr(scores: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio: the margin over the gap between the largest and the third largest score.

    Croce & Hein 2020 (AutoAttack), equation 6; it does not change when the scores are shifted or scaled. With two
    classes there is no third and the ratio would be constant: the gap between the two is then not differentiated.
    """
    if scores.shape[1] == 2:
        gap = (scores[:, 0] - scores[:, 1]).abs().detach()
    else:
        top = scores.topk(3, dim=1).values
        gap = top[:, 0] - top[:, 2]
    return margin(scores, labels) / (gap + TIE)


def targeted_dlr(scores: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Targeted difference of logits ratio, to be ascended: (z_target - z_label) / (z_1 - (z_3 + z_4) / 2).

    Croce & Hein 2020, equation 7, where z_1 >= z_3 >= z_4 are sorted scores. ``targets`` is (B,) class indices. With
    three classes the third score stands for the fourth too, and with two the gap is that of :func:`dlr`.
    """
    label, target = labels.unsqueeze(1), targets.unsqueeze(1)
    away = (scores.gather(1, target) - scores.gather(1, label)).squeeze(1)
    if scores.shape[1] == 2:
        return away / ((scores[:, 0] - scores[:, 1]).abs().detach() + TIE)
    top = scores.topk(min(4, scores.shape[1]), dim=1).values
    return away / (top[:, 0] - (top[:, 2] + top[:, -1]) / 2 + TIE)


def dlr_towards(scores: Tensor, targets: Tensor) -> Tensor:
    """:func:`targeted_dlr` away from whichever other class leads at the moment: for attacks that know only a target."""
    rival = scores.detach().scatter(1, targets.unsqueeze(1), -float("inf")).argmax(dim=1)
    return targeted_dlr(scores, rival, targets)


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "margin": margin, "dlr": dlr}
"""Name -> loss, as the attacks' ``loss`` takes it."""
