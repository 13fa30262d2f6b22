"""The diagnosis that goes with an evaluation: at which radius, and what stands for one that cannot be made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from art_domainrand.evaluation.conditions.kinds import Attacked, Condition, Then, Union
from art_domainrand.evaluation.diagnose.diagnosis import Check, Diagnosis, Finding

USUAL_RADIUS = 8 / 255
"""The radius as a share of the range of pixels where no condition says another."""


def largest_radius(conditions: Iterable[Condition], estimator: Any) -> float:
    """The largest L-inf radius among the conditions; where there is none, 8/255 of the range of pixels.

    :param conditions: the conditions.
    :param estimator: says what the range is.
    """
    attacks = [attack for condition in conditions for attack in last_of(condition)]
    radii = [one.eps for one in attacks if isinstance(one, Attacked) and one.norm == "linf" and one.eps > 0]
    values = getattr(estimator, "clip_values", None)
    width = 1.0 if values is None else float(np.max(np.subtract(values[1], values[0])))
    return max(radii, default=USUAL_RADIUS * width)


def last_of(condition: Condition) -> list[Condition]:
    """The last of the conditions that work one after another; each one of a union."""
    if isinstance(condition, Union):
        return [last for one in condition.conditions for last in last_of(one)]
    return last_of(condition.second) if isinstance(condition, Then) else [condition]


def without_diagnosis(reason: str) -> Diagnosis:
    """What stands for a diagnosis that could not be made.

    :param reason: why, in one line.
    """
    advice = "Call art_domainrand.diagnose on the model itself, and treat attacks on it with care until it works."
    finding = Finding("diagnosis", "warning", {}, f"The checks could not be made: {reason}", advice)
    return Diagnosis((), {}, (finding,), (Check("diagnosis"),))
