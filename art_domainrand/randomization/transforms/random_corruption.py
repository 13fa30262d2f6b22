"""One of the common corruptions for each image, as a transform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.core.straight_through import straight_through
from art_domainrand.randomization.core.distributions import Choice, Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.corruptions import COMMON, CORRUPTIONS
from art_domainrand.randomization.corruptions.suite import corrupt_unchecked

_ALL_ALIKE = Choice((1.0, 2.0, 3.0, 4.0, 5.0))


@dataclass(frozen=True)
class RandomCorruption(PixelTransform):
    """Corrupt each image by one of the common corruptions, all equally likely.

    They are those of :func:`art_domainrand.randomization.corruptions.corrupt`. An image costs one corruption, not all
    of them: images are sorted by what happens to them, for which a draw on another device than the CPU is read back
    once for each call. As there, the result is clipped.

    Not differentiable: the gradient of the image is passed through as it is, none reaches the parameters.

    :param names: at least one name from ``CORRUPTIONS``, by default the fifteen of ImageNet-C.
    :param severity: from 1 to 5, rounded to an integer; by default all five are equally likely.
    :raises ValueError: for an unknown name, and a severity outside these bounds.
    """

    names: tuple[str, ...] = tuple(COMMON)
    severity: Range = _ALL_ALIKE
    seeded: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False
    units: ClassVar[Mapping[str, str]] = {"severity": "from 1 to 5"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.names, str) or not self.names:
            raise ValueError(f"names must be a list of at least one corruption, got {self.names!r}")
        for name in self.names:
            if name not in CORRUPTIONS:
                raise ValueError(f"names must be among {list(CORRUPTIONS)}, got {name!r}")
        object.__setattr__(self, "names", tuple(self.names))
        require_support("severity", self.severity, low=1, high=5)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """Which corruption, and its severity."""
        assert isinstance(self.severity, Distribution)
        return {"name": Uniform(0.0, 1.0), "severity": self.severity}

    def chosen(self, name: str, u: Tensor) -> str | None:
        return self.names[min(int(u * len(self.names)), len(self.names) - 1)] if name == "name" else None

    @property
    def tracked(self) -> bool:
        """Whether "elastic_transform" is not among the names: where that moves pixels to is not known."""
        return "elastic_transform" not in self.names

    def apply(self, x: Tensor, values: Values) -> Tensor:
        chosen = (values["name"].detach() * len(self.names)).long().clamp_max(len(self.names) - 1)
        cases = torch.stack((chosen, values["severity"].detach().round().long()), dim=1).tolist()
        changed = torch.empty_like(x)
        for index, severity in sorted({tuple(case) for case in cases}):
            rows = [row for row, case in enumerate(cases) if case == [index, severity]]
            changed[rows] = corrupt_unchecked(x.detach()[rows], self.names[index], severity, values["seed"][rows])
        return straight_through(changed, x)
