"""What ART's attacks take and ours have no use for, or doubts about: taken, and said once."""

import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from torch import Tensor

from art_domainrand.attacks.engine.outside import BallFromOutside
from art_domainrand.core.checks import check_images
from art_domainrand.core.norms import Ball

# Every argument that the ``generate`` of an evasion attack of ART 1.20 takes beside x and y; a test reads them there.
KNOWN_TO_ART = (
    *("mask", "resume", "x_init", "x_adv_init", "starting_points", "cost_matrix", "shuffle", "reset_patch"),
    *("target_label", "x_tar", "obj_width", "focal", "pts", "y_init", "foreground", "patch_points"),
    *("automatically_append", "verify_input_data", "perturb_sizes", "perturb_starts", "sample_sizes"),
)


class Lenient:
    """Mixin over ART's ``Attack``, whose ``generate`` takes what ART's does."""

    _without_effect: frozenset[str] = frozenset()
    _outside = False  # whether pixels of this call lie outside clip_values
    _said_outside = False

    def _take_keywords(self, given: dict[str, Any], own: Sequence[str]) -> None:
        """Warn of keywords without effect, once an attack and name; TypeError for one that no attack knows.

        ``own`` are the arguments that have one. None is what these keywords are when they are not used.
        """
        for name in given:
            if name not in KNOWN_TO_ART:
                raise TypeError(unexpected(name, own, KNOWN_TO_ART))
        idle = {name for name, value in given.items() if value is not None} - self._without_effect
        if idle:
            self._without_effect |= idle
            have = "have" if len(idle) > 1 else "has"
            warnings.warn(
                f"{', '.join(sorted(idle))} {have} no effect on {type(self).__name__}, whose generate takes "
                f"{', '.join(own)}",
                RuntimeWarning,
                stacklevel=3,
            )

    def _take_pixels(self, x: Tensor, low: Tensor | None, high: Tensor | None) -> None:
        """Note whether pixels of ``x`` lie outside ``clip_values``, of which an attack warns once."""
        said = check_images(x, low, high)
        self._outside = said is not None
        if said is not None and not self._said_outside:
            self._said_outside = True
            warnings.warn(f"x should {said}; it is attacked as it is", RuntimeWarning, stacklevel=4)

    def _reaching(self, inner: Ball) -> Ball:
        """The ball itself, or where pixels of this call lie outside the box one that takes them from there."""
        return BallFromOutside(inner) if self._outside else inner


def unexpected(name: str, known: Sequence[str], others: Sequence[str] = (), what: str = "arguments") -> str:
    """What Python says of an argument that a function does not take, with those ``known`` and the nearest name."""
    near = get_close_matches(name, [*known, *others], 1)
    instead = f"; did you mean {near[0]!r}?" if near else ""
    return f"got an unexpected keyword argument {name!r}; the {what} are {list(known)}{instead}"
