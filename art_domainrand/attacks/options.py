"""The keyword-only options that all attacks take beyond ART's parameters: off by default, checked in one place."""

from collections.abc import Sequence
from typing import Any, TypedDict

import torch

from art_domainrand.attacks.engine.lenient import unexpected
from art_domainrand.attacks.engine.oracle import EOT_DRAWS
from art_domainrand.core import checks as check
from art_domainrand.core.losses import LOSSES
from art_domainrand.estimators import is_device_estimator
from art_domainrand.preprocessors import DomainRandomization


class DeviceOptions(TypedDict, total=False):
    """How an attack computes."""

    seed: int | None
    memory_format: str | None
    autocast: torch.dtype | None
    compile: bool | str


class ExpectationOptions(TypedDict, total=False):
    """What an attack averages over, where the estimator is random or the example must survive random changes."""

    eot_samples: int
    eot_draws: str
    randomization: Any


class AutoOptions(DeviceOptions, ExpectationOptions, total=False):
    """What is left to choose where the attack knows what to climb and what to keep."""

    quantize: bool


class SearchOptions(AutoOptions, total=False):
    """What an attack climbs, and what it keeps."""

    loss: Any
    early_stop: bool
    keep_best: bool


DEFAULTS: dict[str, Any] = {
    "seed": None,
    "memory_format": None,
    "autocast": None,
    "compile": False,
    "eot_samples": 1,
    "eot_draws": "fresh",
    "randomization": None,
    "loss": None,
    "early_stop": False,
    "keep_best": False,
    "quantize": False,
}


def with_defaults(options: dict[str, Any], known: list[str], others: Sequence[str] = ()) -> dict[str, Any]:
    """The options with what is missing filled in; TypeError for a name that is not ``known``, with the nearest name.

    ``others`` are arguments besides the options.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        writer = " FGSM and PGD take a summary_writer" if "summary_writer" in unknown else ""
        raise TypeError(unexpected(unknown[0], known, others, "options") + writer)
    return {name: options.get(name, DEFAULTS[name]) for name in known}


def check_options(options: dict[str, Any]) -> None:
    """Check the values of options by name."""
    known = {name: options.get(name, default) for name, default in DEFAULTS.items()}
    check.check_device_options(known["seed"], known["memory_format"], known["autocast"])
    compiler = known["compile"]
    check.require(isinstance(compiler, (bool, str)), "compile", "be a bool or the name of a backend", compiler)
    check.check_counts(eot_samples=known["eot_samples"])
    check.require(known["eot_samples"] >= 1, "eot_samples", "be >= 1", known["eot_samples"])
    named_draws = isinstance(known["eot_draws"], str) and known["eot_draws"] in EOT_DRAWS
    check.require(named_draws, "eot_draws", f"be one of {list(EOT_DRAWS)}", known["eot_draws"])
    check.check_flags(**{name: known[name] for name in ("early_stop", "keep_best", "quantize")})
    loss = known["loss"]
    named = isinstance(loss, str) and loss in LOSSES
    rule = f"be None, one of {list(LOSSES)} or a function of scores and labels"
    check.require(loss is None or named or (callable(loss) and not isinstance(loss, str)), "loss", rule, loss)


def view_through(randomization: Any, estimator: Any) -> DomainRandomization | None:
    """What the attack alone looks through: a pipeline on images in the estimator's layout and range."""
    if randomization is None:
        return None
    clip_values: Any = getattr(estimator, "clip_values", None)
    rule = "be None for an estimator without clip_values, which say what range of pixels it works on"
    check.require(clip_values is not None, "randomization", rule, randomization)
    on_gpu = is_device_estimator(estimator) and estimator.device.type != "cpu"
    return DomainRandomization(
        randomization,
        clip_values=tuple(clip_values),
        channels_first=bool(getattr(estimator, "channels_first", True)),
        seed=0,  # never used: the attack draws from its own generator
        device_type="gpu" if on_gpu else "cpu",
    )
