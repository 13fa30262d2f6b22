"""DORAEMON: the widest law on which the model still succeeds, reached in steps that do not go far."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from art_domainrand.core.checks import Text, require
from art_domainrand.randomization.core.beta import beta_divergence, beta_entropy, beta_log_density
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.transform import Draw
from art_domainrand.randomization.learned.ranges import LEAST_SHAPE, MOST_SHAPE
from art_domainrand.training.learned.gradient import LearnedRanges

Vector = NDArray[np.float64]
# How far from 0 and 1 a point counts, whose density could else be infinite.
INSIDE = 1e-6
# How far the solver may miss a constraint.
SLACK = 1e-3


class EntropyMaximizingRanges(LearnedRanges):
    """Beta distributions of maximal entropy under a success bound and a divergence step (Tiboni et al. 2024, eq. 4, 5).

    The success under another law is estimated from the last images by importance weights. Where the present law falls
    short of the bound, the step raises the success as far as the divergence allows.

    :param success: the share of the images that must be classified correctly, alpha.
    :param step: the largest divergence of a step, epsilon, in nats over all ranges.
    :param buffer: images seen under a law before it moves.
    :param first_width: of every range, at the start.
    """

    learns_from: ClassVar[str | None] = "hits"

    def __init__(self, pipeline: Pipeline, success: float, step: float, buffer: int, first_width: float) -> None:
        super().__init__(pipeline, "beta")
        rule = "have a Uniform or LogUniform range to open"
        require(len(self.learned.fields) > 0, "randomization", rule, Text(repr(pipeline)))
        self.success, self.step, self.buffer = success, step, buffer
        self.learned.bounds.data.fill_(math.log(shape_of_width(first_width)))
        columns = sum(len(field.columns) for field in self.learned.fields)
        self.points = torch.empty(0, columns, dtype=torch.float32)
        self.acting = torch.empty(0, columns, dtype=torch.bool)
        self.hits = torch.empty(0, dtype=torch.float32)
        self._last: tuple[Tensor, Tensor] | None = None

    def place(self, draw: Draw) -> Draw:
        placed = super().place(draw)
        u = placed.u.cpu()
        columns = [column for field in self.learned.fields for column in field.columns]
        acts = [self.coordinates[column].acts(u) for column in columns]
        self._last = (u[:, columns].float(), torch.stack(acts, 1))
        return placed

    def learn(self, values: Tensor, rows: Tensor) -> None:
        if self._last is None:
            return
        points, acting = (part[rows] for part in self._last)
        self.points, self.acting = torch.cat((self.points, points)), torch.cat((self.acting, acting))
        self.hits = torch.cat((self.hits, values.detach().float().cpu()))
        if len(self.hits) >= self.buffer:
            shapes = self.learned.bounds.detach().double().flatten().numpy()
            moved = torch.from_numpy(self.moved(shapes)).view_as(self.learned.bounds)
            self.learned.bounds.data.copy_(moved.to(self.learned.bounds))
            self.points, self.acting, self.hits = self.points[:0], self.acting[:0], self.hits[:0]

    def state(self) -> dict[str, Tensor]:
        return super().state() | {"points": self.points, "acting": self.acting, "hits": self.hits}

    def load(self, state: dict[str, Any]) -> None:
        super().load(state)
        self.points, self.acting, self.hits = (state[name].clone() for name in ("points", "acting", "hits"))

    def moved(self, start: Vector) -> Vector:
        """The logarithms of all shapes after a step from ``start``, by sequential quadratic programming."""
        owners = [k for k, field in enumerate(self.learned.fields) for _ in field.columns]
        points = self.points.double().clamp(INSIDE, 1 - INSIDE)
        count, old = len(self.learned.fields), torch.from_numpy(start).exp().view(2, -1)[:, owners]
        before = (beta_log_density(points, *old) * self.acting).sum(1)

        def laws(shapes: Tensor) -> Tensor:
            return shapes.exp().view(2, count)[:, owners]

        def entropy(shapes: Tensor) -> Tensor:
            return beta_entropy(*laws(shapes)).sum()

        def success(shapes: Tensor) -> Tensor:
            after = (beta_log_density(points, *laws(shapes)) * self.acting).sum(1)
            return ((after - before).exp() * self.hits).mean()

        def nearness(shapes: Tensor) -> Tensor:
            return self.step - beta_divergence(*laws(shapes), *old).sum()

        near = constraint(nearness)
        holds = constraint(lambda shapes: success(shapes) - self.success)
        found = start
        if float(self.hits.mean()) < self.success:
            found = maximized(success, found, [near])
            if holds["fun"](found) < 0:
                return found
        return maximized(entropy, found, [near, holds])


def maximized(function: Callable[[Tensor], Tensor], start: Vector, constraints: list[dict[str, Any]]) -> Vector:
    """Where ``function`` is largest under the constraints; ``start`` if nothing is found that meets them."""

    def downhill(shapes: Vector) -> tuple[float, Vector]:
        value, gradient = with_gradient(function, shapes)
        return -value, -gradient

    limits = [(math.log(LEAST_SHAPE), math.log(MOST_SHAPE))] * len(start)
    found = minimize(downhill, start, jac=True, method="SLSQP", bounds=limits, constraints=constraints)
    end: Vector = np.asarray(found.x, dtype=np.float64)
    fits = bool(np.isfinite(end).all()) and all(rule["fun"](end) >= -SLACK for rule in constraints)
    better = fits and float(function(torch.from_numpy(end))) >= float(function(torch.from_numpy(start)))
    return end if better else start


def constraint(function: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    """``function >= 0`` as SciPy takes it."""
    return {
        "type": "ineq",
        "fun": lambda shapes: with_gradient(function, shapes)[0],
        "jac": lambda shapes: with_gradient(function, shapes)[1],
    }


def with_gradient(function: Callable[[Tensor], Tensor], at: Vector) -> tuple[float, Vector]:
    """A function's value and gradient, in float64."""
    point = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    value = function(point)
    (gradient,) = torch.autograd.grad(value, [point])
    return float(value.detach()), gradient.numpy()


def shape_of_width(width: float) -> float:
    """The shape of both sides of a beta distribution with the entropy of a box of this ``width``, by bisection."""
    low, high = 0.0, math.log(MOST_SHAPE)
    for _ in range(60):
        middle = (low + high) / 2
        shape = torch.tensor(middle, dtype=torch.float64).exp()
        wide = float(beta_entropy(shape, shape)) > math.log(width)
        low, high = (middle, high) if wide else (low, middle)
    return math.exp(low)
