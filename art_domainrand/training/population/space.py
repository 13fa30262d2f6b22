"""What a search may change of a pipeline: the bounds of ranges, within those they have, and how likely choices are.

A pipeline is walked as its document, see :mod:`art_domainrand.randomization.serialize`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

Suggest: TypeAlias = Callable[[str, float, float], float]
"""From the name of a number and its bounds to a value of it."""

RANGES = ("uniform", "log_uniform")
"""The distributions whose bounds are searched."""

LEAST_WEIGHT = 0.01
"""A choice is never quite left out, so that its weights cannot all be zero."""


def suggested(document: Any, suggest: Suggest, choices: bool, path: str = "transforms") -> Any:
    """The document of a pipeline inside the space that another one spans.

    A range has a width, as a share of its own, and a place, which is where it lies between the two ends.

    :param document: what stands at ``path`` of a pipeline's document.
    :param suggest: asked for every number, by its name.
    :param choices: whether ``p`` of "sometimes" and the weights of "one_of" are searched too.
    :param path: where in the document it stands.
    """
    if isinstance(document, list):
        return [suggested(part, suggest, choices, f"{path}[{index}]") for index, part in enumerate(document)]
    if not isinstance(document, dict):
        return document
    kind = document.get("type")
    if kind in RANGES and document["low"] < document["high"]:
        return _narrowed(document, suggest, path)
    parts = {key: suggested(part, suggest, choices, f"{path}.{key}") for key, part in document.items()}
    if choices and kind == "sometimes" and 0 < document["p"] < 1:
        parts["p"] = suggest(f"{path}.p", 0.0, 1.0)
    if choices and kind == "one_of" and len(document["transforms"]) > 1:
        count = range(len(document["transforms"]))
        parts["weights"] = [suggest(f"{path}.weights[{index}]", LEAST_WEIGHT, 1.0) for index in count]
    return parts


def searched_numbers(document: Any, choices: bool) -> list[str]:
    """The names of the numbers that a search over the pipeline of this document may change, in order.

    :param document: the transforms of a pipeline's document.
    :param choices: as in :func:`suggested`.
    """
    names: list[str] = []

    def note(name: str, low: float, high: float) -> float:
        names.append(name)
        return high

    suggested(document, note, choices)
    return names


def _narrowed(range_: dict[str, Any], suggest: Suggest, path: str) -> dict[str, Any]:
    width, place = suggest(f"{path}.width", 0.0, 1.0), suggest(f"{path}.place", 0.0, 1.0)
    logarithmic = range_["type"] == "log_uniform"
    low, high = (math.log(range_[end]) if logarithmic else float(range_[end]) for end in ("low", "high"))
    start = low + place * (1 - width) * (high - low)
    ends = [start, start + width * (high - low)]
    found = [math.exp(end) for end in ends] if logarithmic else ends
    # A sum may be rounded to just beyond the bound that it is to reach.
    least, most = (min(max(end, range_["low"]), range_["high"]) for end in found)
    return {**range_, "low": least, "high": max(least, most)}
