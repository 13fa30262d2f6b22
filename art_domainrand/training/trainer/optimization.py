"""From a loss to new weights: scaled gradients, clipping, the learning rates' schedule, the moving average."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from art_domainrand.training.trainer.options import TrainingOptions
from art_domainrand.training.trainer.weights import MovingAverage


class Optimization:
    """Takes ``steps`` steps of ``optimizer`` on ``net``, with what the options ask for around each.

    Learning rates are set from those found, without a scheduler of torch, which would leave its marks on the optimizer.
    """

    def __init__(
        self, net: nn.Module, optimizer: torch.optim.Optimizer, options: TrainingOptions, steps: int, device: str
    ) -> None:
        self.net, self.optimizer, self.options = net, optimizer, options
        self.steps, self.done = max(steps, 1), 0
        self.rates = [group["lr"] for group in optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(device, enabled=options.autocast == torch.float16)
        self.average = MovingAverage(net, options.ema) if options.ema else None

    def backward(self, loss: Tensor) -> None:
        """Fresh gradients of all weights."""
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self) -> None:
        """Clip, step, move the learning rates and the average on."""
        if self.options.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.net.parameters(), float(self.options.clip_norm))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.done += 1
        self.set_rates()
        if self.average is not None:
            self.average.update(self.net)

    def rate_share(self) -> float:
        """What is left of the learning rates: 1 at first, and with the cosine schedule 0 after the last step."""
        if self.options.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(self.done / self.steps, 1.0)))

    def set_rates(self) -> None:
        """Give the optimizer the learning rates of the next step."""
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * self.rate_share()

    def give_back(self) -> None:
        """Give the optimizer the learning rates it came with."""
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate

    def state(self) -> dict[str, Any]:
        """What :meth:`load` goes on from, in tensors and plain values."""
        average = None if self.average is None else {"values": self.average.values, "steps": self.average.steps}
        scaler = self.scaler.state_dict()
        return {"optimizer": self.optimizer.state_dict(), "done": self.done, "scaler": scaler, "average": average}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = state["done"]
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.values, self.average.steps = state["average"]["values"], state["average"]["steps"]
        self.set_rates()
