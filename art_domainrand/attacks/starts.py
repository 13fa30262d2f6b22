"""Random starts inside an Lp ball: drawn as ART draws them, or from a private generator on the device."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from art.utils import random_sphere
from torch import Tensor

from art_domainrand.attacks.arguments import rows_of
from art_domainrand.norms import per_sample, uniform_in_ball


class PrivateGenerator:
    """One ``torch.Generator`` per seed and device, made on first use; a new seed or device starts a new stream."""

    def __init__(self) -> None:
        self._key: tuple[int, str] | None = None
        self._generator: torch.Generator | None = None

    def on(self, device: torch.device, seed: int) -> torch.Generator:
        """The stream of ``seed`` on ``device``, continued where the last call left it."""
        if self._generator is None or self._key != (int(seed), str(device)):
            self._key = (int(seed), str(device))
            self._generator = torch.Generator(device).manual_seed(int(seed))
        return self._generator

    def __getstate__(self) -> dict[str, Any]:
        """Where the stream stands, so that copies and pickles continue it."""
        return {"key": self._key, "state": None if self._generator is None else self._generator.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        if state["key"] is not None:
            self.on(torch.device(state["key"][1]), state["key"][0]).set_state(state["state"])


def seeded_noise(norm: float, shape: tuple[int, ...], eps: float | Tensor, generator: torch.Generator) -> Tensor:
    """Noise uniform in the ball of radius ``eps``, on the generator's device, in float32."""
    return uniform_in_ball(norm, shape, generator) * (eps.float() if isinstance(eps, Tensor) else eps)


def art_noise(norm: float, shape: tuple[int, ...], eps: float | Tensor) -> Tensor:
    """Noise on the CPU from ``np.random``, the same draws as ART's ``random_sphere`` in the same order.

    Where ``random_sphere`` refuses (arrays of eps per sample, norms other than 1, 2 and inf) the draw is the natural
    extension: the unit ball times eps.
    """
    n, features = shape[0], int(np.prod(shape[1:]))
    if norm == np.inf and isinstance(eps, Tensor):
        radius = np.broadcast_to(eps.cpu().numpy(), shape).reshape(n, features)
        return as_noise(random_sphere(n, features, radius, norm), shape)
    if norm in (1, 2, np.inf):
        scalar = 1.0 if isinstance(eps, Tensor) else eps
        noise = as_noise(random_sphere(n, features, scalar, norm), shape)
    else:
        power = torch.as_tensor(np.random.standard_gamma(1 / norm, size=(n, features)))  # noqa: NPY002
        total = power.sum(1) + torch.as_tensor(np.random.exponential(size=n))  # noqa: NPY002
        sign = torch.as_tensor(np.random.choice([-1, 1], (n, features)))  # noqa: NPY002
        noise = (sign * (power / per_sample(total, power)) ** (1 / norm)).reshape(shape).float()
        noise = noise if isinstance(eps, Tensor) else noise * eps
    return noise * eps.cpu().float() if isinstance(eps, Tensor) else noise


def as_noise(values: Any, shape: tuple[int, ...]) -> Tensor:
    """ART's float64 noise as a float32 tensor of the shape of the images."""
    return torch.from_numpy(values.reshape(shape).astype(np.float32))


class Starts:
    """Random starts for the images of one call, drawn batch by batch in the order they are asked for.

    ``drawn_with(rows)`` names the rows whose noise comes from the same call of the generator as that of ``rows``.
    """

    def __init__(
        self,
        norm: float,
        shape: tuple[int, ...],
        eps: float | Tensor,
        device: torch.device,
        generator: torch.Generator | None,
        drawn_with: Callable[[slice], slice],
    ) -> None:
        self.norm, self.shape, self.eps, self.device = norm, shape, eps, device
        self.generator, self.drawn_with = generator, drawn_with
        self.key: tuple[int, int] | None = None
        self.noise = torch.empty(0)

    def at(self, restart: int, rows: slice) -> Tensor:
        """Noise for ``rows`` in this restart, on the device."""
        together = self.drawn_with(rows)
        if self.key != (restart, together.start):
            self.key = (restart, together.start)
            self.noise = self.draw(together)
        first = rows.start - together.start
        return self.noise[first : first + rows.stop - rows.start].to(self.device)

    def draw(self, rows: slice) -> Tensor:
        """Draw the noise of ``rows`` from the private generator, or from ``np.random`` where there is none."""
        shape = (rows.stop - rows.start, *self.shape[1:])
        if self.generator is None:
            return art_noise(self.norm, shape, rows_of(self.eps, self.shape, rows))
        eps = rows_of(self.eps, self.shape, rows)
        return seeded_noise(self.norm, shape, eps.to(self.device) if isinstance(eps, Tensor) else eps, self.generator)
