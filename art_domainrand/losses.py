"""Losses on class scores. Larger means closer to success for an untargeted attack."""

from torch import Tensor


def margin(scores: Tensor, labels: Tensor) -> Tensor:
    """Best other score minus the score of the label: positive where another class wins, zero where one ties with it.

    ``scores`` is (B, K) with K >= 2, ``labels`` (B,) class indices; returns (B,).
    """
    own = scores.gather(1, labels.unsqueeze(1))
    others = scores.scatter(1, labels.unsqueeze(1), -float("inf"))
    return others.amax(dim=1) - own.squeeze(1)
