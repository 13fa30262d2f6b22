"""The best adversarial example of every image so far, over steps, restarts and stages."""

from dataclasses import dataclass

import torch
from torch import Tensor

from art_domainrand.core.norms import per_sample

Which = slice | Tensor
"""Some images of a call: consecutive ones, or indices (A,)."""


@dataclass
class BestSoFar:
    """What was found for N images: ``adv`` (N, ...), written in place, its ``margin`` (N,), and whether it ``fooled``.

    ``tainted`` (N,) says which images met a gradient that was not finite.
    """

    adv: Tensor
    margin: Tensor
    fooled: Tensor
    tainted: Tensor

    @classmethod
    def into(cls, out: Tensor, device: torch.device) -> "BestSoFar":
        """Nothing found yet; examples will be written into ``out``, which may be on the host."""
        n = len(out)
        flags = torch.zeros(n, dtype=torch.bool, device=device)
        return cls(out, torch.full((n,), -torch.inf, dtype=torch.float32, device=device), flags, flags.clone())

    def put(self, which: Which, adv: Tensor) -> None:
        """Take over examples as they are, where there is nothing to compare."""
        self.adv[on(which, self.adv)] = adv.to(self.adv.device)

    def offer(self, which: Which, adv: Tensor, fooled: Tensor, margin: Tensor, instead: Tensor | None = None) -> None:
        """Take over what is better than the best of an image, and what is there ``instead`` (A,) in any case.

        Indices must not repeat.
        """
        known, before = self.fooled[which], self.margin[which]
        taken = better(fooled, margin, known, before) | ((before == -torch.inf) & ~known)
        taken = taken if instead is None else taken | instead
        self.margin[which] = torch.where(taken, margin, before)
        self.fooled[which] = known | fooled
        host = on(which, self.adv)
        kept = self.adv[host].to(adv.device)
        self.adv[host] = torch.where(per_sample(taken, adv), adv, kept).to(self.adv.device)


def better(fooled: Tensor, margin: Tensor, fooled_before: Tensor, margin_before: Tensor) -> Tensor:
    """Which of two examples wins, (A,): a success first, then the larger margin."""
    return (fooled & ~fooled_before) | ((fooled == fooled_before) & (margin > margin_before))


def on(which: Which, values: Tensor) -> Which:
    """Indices on the device of the tensor that they are for."""
    return which if isinstance(which, slice) else which.to(values.device)
