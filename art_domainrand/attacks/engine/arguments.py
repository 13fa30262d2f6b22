"""Parameters of attacks, by name: those of the constructor, set all or none; and what ``generate`` is given."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, ParamSpec, TypeVar

import numpy as np

from art_domainrand.attacks.engine.config import Config
from art_domainrand.core import checks as check
from art_domainrand.core.arguments import argument_names, nearest, suggesting_names, unexpected
from art_domainrand.estimators import Compiler

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Every argument that the ``generate`` of an evasion attack of ART 1.20 takes beside x and y; a test reads them there.
KNOWN_TO_ART = (
    *("mask", "resume", "x_init", "x_adv_init", "starting_points", "cost_matrix", "shuffle", "reset_patch"),
    *("target_label", "x_tar", "obj_width", "focal", "pts", "y_init", "foreground", "patch_points"),
    *("automatically_append", "verify_input_data", "perturb_sizes", "perturb_starts", "sample_sizes"),
)

# Parameters that ART's tools set whatever attack they are given, and what to give them instead.
INSTEAD = {
    "max_iter": " (ART's OAAT trainer sets it, use PGD or AutoPGD there)",
    "eps_step": " (ART's OAAT trainer sets it, use PGD or AutoPGD there)",
    "eps": " (where an attack is made of others, set that of the attacks inside)",
    "minimal": " (ART's metrics set it by name, use FGSM there, or adversarial_accuracy(attack_crafter=...))",
}


def without_writer(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The constructor of an attack that is no loop of ART's, whose steps a summary writer could follow."""
    return suggesting_names(function, {"summary_writer": "FGSM and PGD take a summary_writer"})


class Parameters:
    """Mixin over ART's ``Attack``, whose parameters are those of the constructor, kept in attributes of their names."""

    attack_params: ClassVar[list[str]]
    estimator: Any
    norm: Any
    summary_writer: Any
    # What says how far the attack goes, and rises where training is made harder step by step.
    reach: ClassVar[tuple[str, ...]] = ("eps", "eps_step")
    _round: int = 0
    _compiler: Compiler | None = None
    # What has been warned of, which is done once.
    _warned: frozenset[str] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            own = [name for name in argument_names(cls.__init__) if name != "estimator"]
            cls.attack_params = list(dict.fromkeys([*getattr(cls, "attack_params", []), *own]))

    def _set(self, given: dict[str, Any]) -> None:
        """Keep the arguments of the constructor, its ``locals()``, as attributes, and check them.

        NumPy's numbers become Python's, which are all that ART takes.
        """
        given = {name: value for name, value in given.items() if name not in ("self", "estimator", "__class__")}
        if "summary_writer" in given:
            self._summary_writer = given.pop("summary_writer")  # ART's constructor makes a writer of it
        for name, value in given.items():
            setattr(self, name, value)
        self._check_params()
        for name, value in given.items():
            plain = check.plain(value) if name in ("eps", "eps_step") else value
            setattr(self, name, plain.item() if isinstance(plain, np.generic) else plain)

    def _check_params(self) -> None:
        """Check the attributes, to which ART's trainers and users may have written."""
        Config.of(self)

    def set_params(self, **kwargs: Any) -> None:
        """Set parameters by name; if one of them is refused, none is set.

        :param kwargs: Name -> value.
        :raises ValueError, TypeError: naming the parameter, the rule and the value; of an unknown name the nearest.
        """
        for name in kwargs:
            advice = INSTEAD.get(name) or nearest(name, self.attack_params)
            known = name in self.attack_params
            got = check.Text(f"{name!r}{advice}")
            check.require(known, "parameter", f"be among those of {type(self).__name__}", got)
        before = {name: getattr(self, name) for name in kwargs}
        accepted = False
        try:
            super().set_params(**kwargs)  # type: ignore[misc]
            accepted = True
        finally:
            for name, value in () if accepted else before.items():
                setattr(self, name, value)

    def _take_keywords(self, given: dict[str, Any], own: Sequence[str]) -> None:
        """Warn of keywords without effect, once an attack and name; TypeError for one that no attack knows.

        ``own`` are the arguments that have one. None is what these keywords are when they are not used.
        """
        for name in given:
            if name not in KNOWN_TO_ART:
                raise TypeError(unexpected(name, own, KNOWN_TO_ART))
        idle = {name for name, value in given.items() if value is not None} - self._warned
        if idle:
            self._warned |= idle
            have = "have" if len(idle) > 1 else "has"
            warnings.warn(
                f"{', '.join(sorted(idle))} {have} no effect on {type(self).__name__}, whose generate takes "
                f"{', '.join(own)}",
                RuntimeWarning,
                stacklevel=3,
            )

    def _warn_of_pixels(self, outside: str | None) -> None:
        """Warn once of pixels that lie outside ``clip_values``."""
        if outside is not None and "outside" not in self._warned:
            self._warned |= {"outside"}
            warnings.warn(f"x should {outside}; it is attacked as it is", RuntimeWarning, stacklevel=5)

    def _warn_of_radius(self, features: int) -> None:
        """Warn once of a ball that holds every image of so many ``features``: ``eps`` may be meant in other units."""
        eps, bounds = getattr(self, "eps", None), self.estimator.clip_values
        # A search for the least radius may begin anywhere.
        if eps is None or bounds is None or "eps" in self._warned or getattr(self, "minimal", False):
            return
        widths = np.subtract(bounds[1], bounds[0], dtype=np.float64)
        # What holds for every feature broadcasts to all of them: each stands for equally many.
        farthest = float(np.linalg.norm(widths.ravel(), order := check.norm_order(self.norm)))
        farthest *= (features / widths.size) ** (1 / order)
        largest, width = float(np.max(eps, initial=0.0)), float(widths.max())
        if largest >= farthest * (1 - check.TOLERANCE):
            self._warned |= {"eps"}
            warnings.warn(
                f"eps should be less than {farthest:.6g}, from where on its ball holds every image, got {largest:.6g}; "
                f"eps is in units of the images: 8/255 of their range is {8 / 255 * width:.3g}",
                RuntimeWarning,
                stacklevel=5,
            )

    def compiler(self) -> Compiler | None:
        """What compiles the model, kept for the next call; None without ``compile``."""
        compiled: bool | str = getattr(self, "compile", False)
        backend = "inductor" if compiled is True else compiled
        if backend and (self._compiler is None or self._compiler.backend != backend):
            self._compiler = Compiler(backend)
        return self._compiler if backend else None
