"""What training does to weights besides the optimizer's step: moving averages and adversarial perturbation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """The exponential moving average of a model's parameters; buffers are copied as they are.

    The decay starts low, (1 + steps) / (10 + steps), so that the first weights do not linger.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.values = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step towards the weights of ``model``."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        trained = {name for name, _ in model.named_parameters(remove_duplicate=False)}
        for name, value in model.state_dict().items():
            if name in trained:
                self.values[name].lerp_(value, 1 - decay)
            else:
                self.values[name].copy_(value)

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """Let ``model`` have the averaged weights inside the ``with`` block."""
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        try:
            model.load_state_dict(self.values)
            yield
        finally:
            model.load_state_dict(own)


@contextmanager
def perturbed(model: nn.Module, gradients: dict[str, Tensor], gamma: float) -> Iterator[None]:
    """Adversarial weight perturbation (Wu et al. 2020, equation 10): inside, every weight matrix is moved uphill.

    Layer by layer by ``gamma`` times the norm of the weights, along ``gradients`` of the loss; biases and
    normalization, which have one axis, stay, and so does a layer whose gradient is zero or not finite.
    """
    moved: list[tuple[nn.Parameter, Tensor]] = []
    try:
        with torch.no_grad():
            for name, weight in model.named_parameters():
                gradient = gradients.get(name)
                if gradient is None or weight.dim() < 2:
                    continue
                moved.append((weight, weight.detach().clone()))
                # Scaled by its largest entry first: squares of small gradients underflow.
                unit = gradient / gradient.abs().amax().clamp_min(torch.finfo(gradient.dtype).tiny)
                length = unit.norm()
                step = unit * (gamma * weight.norm() / length.clamp_min(torch.finfo(unit.dtype).tiny))
                weight.add_(torch.where(length.isfinite(), step, 0.0))
        yield
    finally:
        with torch.no_grad():
            for parameter, original in moved:
                parameter.copy_(original)
