"""The outcome table: what became of every sample, in every condition, for every model."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.checks import Text, require

OUTCOME = np.dtype(
    [
        ("model", "<i4"),  # its place in Outcomes.models
        ("condition", "<i4"),  # its place in Outcomes.conditions
        ("sample", "<i8"),  # its place in the data
        ("draw", "<i4"),  # which draw of a random condition or a random model; 0 where nothing is random
        ("label", "<i4"),
        ("predicted", "<i4"),
        ("right", "?"),
        ("margin", "<f4"),  # score of the label minus the best other one: negative where the model is wrong
        ("confidence", "<f4"),  # probability of the predicted class, NaN where the model gives no scores
        (
            "l0",
            "<f4",
        ),  # how far the judged image is from the one that was changed; NaN in tables older than this column
        ("l1", "<f4"),
        ("l2", "<f4"),
        ("linf", "<f4"),
        ("forwards", "<f4"),  # passes that finding the image and judging it took, per sample; NaN where not countable
        ("backwards", "<f4"),
    ]
)
"""One row of the table."""

WITHOUT_L0 = np.dtype([(name, OUTCOME[name]) for name in OUTCOME.names or () if name != "l0"])
"""A row as it was before distances in L0 were kept."""

SORTED_BY = ["model", "condition", "sample", "draw"]
"""What the rows are sorted by; no two agree in all of it."""


SIDES = (bisect_left, bisect_right)
"""Where rows that are equal to something begin and end."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Rows for models, conditions, samples and draws, sorted in that order.

    :param rows: (R,) of dtype :data:`OUTCOME`.
    :param models: the names of the models.
    :param conditions: the names of the conditions.
    :param classes: the names of the classes.
    :raises ValueError: for rows of another kind, out of order, or that name what there is not.
    """

    rows: NDArray[Any]
    models: tuple[str, ...]
    conditions: tuple[str, ...]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        require(self.rows.dtype == OUTCOME and self.rows.ndim == 1, "rows", "be (R,) of OUTCOME", self.rows.dtype)
        for name, names in (("model", self.models), ("condition", self.conditions), ("label", self.classes)):
            found = self.rows[name]
            got = Text(f"{found.min(initial=0)} to {found.max(initial=0)}")
            inside = found.min(initial=0) >= 0 and (not len(found) or found.max() < len(names))
            require(inside, name, f"be from 0 to {len(names) - 1}", got)
        rule = f"be sorted by {', '.join(SORTED_BY)} and hold each once"
        require(ascending(self.rows), "rows", rule, Text("rows out of order or twice"))

    @classmethod
    def joined(
        cls, parts: Sequence[NDArray[Any]], models: Sequence[str], conditions: Sequence[str], classes: Sequence[str]
    ) -> Self:
        """The table of parts in any order.

        :param parts: rows, each (r,) of :data:`OUTCOME`.
        :param models: as in the class.
        :param conditions: as in the class.
        :param classes: as in the class.
        """
        rows = np.concatenate([np.empty(0, OUTCOME), *parts])
        order = np.lexsort([rows[name] for name in reversed(SORTED_BY)])
        return cls(rows[order], tuple(models), tuple(conditions), tuple(classes))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def samples(self) -> NDArray[np.int64]:
        """The places of the samples in the data, (N,), ascending."""
        return np.unique(self.rows["sample"])

    def of(self, model: str, condition: str) -> NDArray[Any]:
        """The rows of a model in a condition, (draws, N), samples ascending.

        :param model: the model's name.
        :param condition: the condition's name.
        :raises KeyError: if there is no such model or condition, or no row of it.
        """
        for name, names in ((model, self.models), (condition, self.conditions)):
            if name not in names:
                raise KeyError(f"{name!r} is not among {list(names)}")
        place = (self.models.index(model), self.conditions.index(condition))
        rows: NDArray[Any] = self.rows[slice(*(side(range(len(self)), place, key=self._place) for side in SIDES))]
        if not len(rows):
            raise KeyError(f"no outcome of {model!r} in {condition!r}")
        by_draw: NDArray[Any] = rows.reshape(-1, int(rows["draw"].max()) + 1).T
        return by_draw

    def _place(self, row: int) -> tuple[int, int]:
        """The model and the condition of a row, as numbers."""
        return int(self.rows["model"][row]), int(self.rows["condition"][row])

    def right(self, model: str, condition: str) -> NDArray[np.bool_]:
        """Whether the model was right, (draws, N).

        :param model: the model's name.
        :param condition: the condition's name.
        :raises KeyError: as in :meth:`of`.
        """
        found: NDArray[np.bool_] = self.of(model, condition)["right"]
        return found


def completed(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows that an older version has written, with what they lack as NaN; others as they are.

    :param rows: (R,) of :data:`OUTCOME`, :data:`WITHOUT_L0` or anything else.
    """
    if rows.dtype != WITHOUT_L0:
        return rows
    whole = np.zeros(rows.shape, OUTCOME)
    whole["l0"] = np.nan
    for name in WITHOUT_L0.names or ():
        whole[name] = rows[name]
    return whole


def ascending(rows: NDArray[Any]) -> bool:
    """Whether rows are sorted by :data:`SORTED_BY`, no two alike in all of it.

    :param rows: (R,) of :data:`OUTCOME`.
    """
    undecided = np.ones(max(len(rows) - 1, 0), dtype=bool)
    for name in SORTED_BY:
        before, after = rows[name][:-1], rows[name][1:]
        if (undecided & (before > after)).any():
            return False
        undecided &= before == after
    return not undecided.any()
