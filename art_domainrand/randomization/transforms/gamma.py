"""The gamma curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.distributions import LogUniform, Range, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values


@dataclass(frozen=True)
class Gamma(PixelTransform):
    """Raise every pixel to a power.

    From ``TOE`` downwards, through black and negative values, the curve goes on as the straight line through the
    origin, so that value and gradient are finite: x^gamma alone has an infinite slope at black for gamma < 1.

    :param gamma: the exponent, >= 0; below 1 brightens.
    :raises ValueError: for a negative exponent.
    """

    gamma: Range = LogUniform(0.7, 1.4)
    units: ClassVar[Mapping[str, str]] = {"gamma": "exponent"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("gamma", self.gamma, low=0)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        changed: Tensor = _GammaCurve.apply(x, values["gamma"].view(-1, 1, 1, 1))  # type: ignore[no-untyped-call]
        return changed


class _GammaCurve(torch.autograd.Function):
    """x^gamma as x max(x, TOE)^(gamma - 1), which is the line below TOE, in half the passes autograd takes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor) -> Tensor:
        power = x.clamp_min(TOE).log_().mul_(gamma - 1).exp_()
        ctx.save_for_backward(x, gamma, power)
        return x * power

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, gamma, power = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted: let autograd see the formula
            curve = x * torch.exp(torch.log(x.clamp_min(TOE)) * (gamma - 1))
            wanted = [tensor for tensor in (x, gamma) if tensor.requires_grad]
            found = iter(torch.autograd.grad(curve, wanted, gradient, create_graph=True))
            return (next(found) if x.requires_grad else None), (next(found) if gamma.requires_grad else None)
        of_x = of_gamma = None
        if ctx.needs_input_grad[0]:
            scaled = gradient * power  # the slope is power below TOE and gamma * power above
            of_x = scaled * (gamma - 1)
            torch.ops.aten.threshold_backward.grad_input(of_x, x, TOE, grad_input=of_x).add_(scaled)
        if ctx.needs_input_grad[1]:
            of_gamma = (gradient * x * power * torch.log(x.clamp_min(TOE))).sum((1, 2, 3), keepdim=True)
        return of_x, of_gamma


TOE = 1 / 1024
"""Where :class:`Gamma` becomes linear: a quarter of the smallest nonzero value of an 8-bit image."""
