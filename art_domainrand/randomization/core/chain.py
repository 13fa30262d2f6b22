"""Several transforms one after the other, where neighbours of one kind become one matrix or one sampling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from art_domainrand.core.hashing import member_seeds
from art_domainrand.randomization.core.distributions import Distribution
from art_domainrand.randomization.core.transform import Kind, Transform, Values, settled
from art_domainrand.randomization.numerics.color_maps import apply_color, compose_color
from art_domainrand.randomization.numerics.matrices import inverse3x3, multiply
from art_domainrand.randomization.numerics.positions import (
    Carrying,
    Coords,
    Frame,
    Sampling,
    frame_of,
    map_points,
    pixel_lattice,
)
from art_domainrand.randomization.numerics.warp import resample, warp


@dataclass(frozen=True)
class Chain(Transform):
    """Apply ``transforms`` in order; itself a geometry or colour transform if all of them fuse.

    Neighbours fuse if both are geometric and sample alike, or both mix colours. A run of geometry is one sampling:
    matrices are multiplied, and what is between displacement fields carries the positions from one to the next.
    """

    transforms: tuple[Transform, ...]

    def __post_init__(self) -> None:
        if not self.transforms:
            raise ValueError("a pipeline must have at least one transform, got none")

    @cached_property
    def stages(self) -> tuple[range, ...]:
        """The runs of transforms that fuse, as ranges of indices."""
        runs: list[range] = []
        for index, transform in enumerate(self.transforms):
            if runs and all(fuses(self.transforms[member], transform) for member in runs[-1]):
                runs[-1] = range(runs[-1].start, index + 1)
            else:
                runs.append(range(index, index + 1))
        return tuple(runs)

    @cached_property
    def kind(self) -> Kind:  # type: ignore[override]
        """The kind of the one matrix the whole chain amounts to, or PIXEL."""
        return self.transforms[0].kind if len(self.stages) == 1 else Kind.PIXEL

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The members' parameters, each name after the member's index: ``"0.angle"``."""
        return prefixed(self.transforms)

    @cached_property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether any member is."""
        return any(transform.seeded for transform in self.transforms)

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether all members are."""
        return all(transform.differentiable for transform in self.transforms)

    @property
    def sampling(self) -> Sampling | None:
        return common_sampling(self.transforms)

    @property
    def projective(self) -> bool:
        return any(transform.projective for transform in self.transforms)

    @cached_property
    def has_matrix(self) -> bool:  # type: ignore[override]
        """Whether the chain is geometric and no member is a displacement field."""
        return self.kind is Kind.GEOMETRY and all(transform.has_matrix for transform in self.transforms)

    def check_channels(self, channels: int) -> None:
        for transform in self.transforms:
            transform.check_channels(channels)

    def arrange(self, columns: Sequence[Tensor], seeds: Tensor) -> Values:
        return nested_values(self.transforms, columns, seeds)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        return self._product(range(len(self.transforms)), values, frame)

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        for stage in reversed(self.stages) if way.backward else self.stages:
            points = self._carry_stage(stage, points, values, frame, way)
            if self.kind is not Kind.GEOMETRY:
                points = settled(Chain(self.transforms[stage.start : stage.stop]), points, frame, way)
        return points

    def reorder(self, order: Tensor, values: Values, way: Carrying) -> Tensor:
        members = list(enumerate(self.transforms))
        for index, transform in reversed(members) if way.backward else members:
            order = transform.reorder(order, values[str(index)], way)
        return order

    def apply(self, x: Tensor, values: Values) -> Tensor:
        for stage in self.stages:
            x = self._apply_stage(stage, x, values)
        return x

    def _apply_stage(self, stage: range, x: Tensor, values: Values) -> Tensor:
        members = [self.transforms[index] for index in stage]
        if len(members) == 1:
            return members[0].apply(x, values[str(stage.start)])
        if members[0].kind is Kind.COLOR:
            return apply_color(x, self._product(stage, values, frame_of(x)))
        sampling = common_sampling(members) or Sampling()
        if not all(member.has_matrix for member in members):
            lattice = pixel_lattice(x.shape[2], x.shape[3], x.dtype, x.device)
            return resample(
                x, self._carry_stage(stage, lattice, values, frame_of(x), Carrying(backward=True)), sampling
            )
        projective = any(member.projective for member in members)
        return warp(x, self._product(stage, values, frame_of(x)), sampling, projective=projective)

    def _carry_stage(self, stage: range, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        runs = list(self._runs(stage))
        for run in reversed(runs) if way.backward else runs:
            first = self.transforms[run.start]
            if len(run) == 1:
                points = first.carry(points, values[str(run.start)], frame, way)
            else:
                matrix = self._product(run, values, frame)
                projective = any(self.transforms[index].projective for index in run)
                points = map_points(inverse3x3(matrix) if way.backward else matrix, points, projective=projective)
        return points

    def _runs(self, stage: range) -> Iterator[range]:
        """The parts of a ``stage`` that are one matrix, and every other member on its own."""
        start = stage.start
        for index in stage:
            if index + 1 == stage.stop or not (
                self.transforms[index].has_matrix and self.transforms[index + 1].has_matrix
            ):
                yield range(start, index + 1)
                start = index + 1

    def _product(self, stage: range, values: Values, frame: Frame) -> Tensor:
        compose = compose_color if self.transforms[stage.start].kind is Kind.COLOR else multiply
        total: Tensor | None = None
        for index in stage:
            matrix = self.transforms[index].matrix(values[str(index)], frame)
            total = matrix if total is None else compose(matrix, total)
        assert total is not None
        return total


def fuses(first: Transform, second: Transform) -> bool:
    """Whether two neighbours can be one matrix."""
    if first.kind is not second.kind or first.kind is Kind.PIXEL:
        return False
    return first.sampling is None or second.sampling is None or first.sampling == second.sampling


def common_sampling(transforms: tuple[Transform, ...] | list[Transform]) -> Sampling | None:
    """The sampling of the first of ``transforms`` that has one."""
    return next((transform.sampling for transform in transforms if transform.sampling is not None), None)


def prefixed(transforms: tuple[Transform, ...]) -> dict[str, Distribution]:
    """The parameters of all ``transforms``, in order, named ``"index.name"``."""
    return {
        f"{index}.{name}": distribution
        for index, transform in enumerate(transforms)
        for name, distribution in transform.parameters.items()
    }


def nested_values(transforms: tuple[Transform, ...], columns: Sequence[Tensor], seeds: Tensor) -> dict[str, Values]:
    """The values of each of ``transforms`` under its index; ``columns`` are those of the first, then the second ..."""
    nested, start = {}, 0
    for index, transform in enumerate(transforms):
        stop = start + len(transform.parameters)
        own_seeds = member_seeds(seeds, index) if transform.seeded else seeds
        nested[str(index)] = transform.arrange(columns[start:stop], own_seeds)
        start = stop
    return nested
