"""What there is, as data: every transform, mixing, corruption, domain and preset with its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from art_domainrand.randomization.core.beta import Beta
from art_domainrand.randomization.core.distributions import (
    Choice,
    Constant,
    Distribution,
    LogUniform,
    Normal,
    TruncatedNormal,
)
from art_domainrand.randomization.core.transform import Transform
from art_domainrand.randomization.corruptions import CORRUPTIONS
from art_domainrand.randomization.domains import DOMAINS
from art_domainrand.randomization.labels.mixing import MIXING
from art_domainrand.randomization.presets import PRESETS
from art_domainrand.randomization.serialize import to_dict
from art_domainrand.randomization.transforms.table import TRANSFORMS

Group: TypeAlias = Literal["transforms", "mixing", "corruptions", "domains", "presets"]


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue.

    :param kind: the table it stands in.
    :param name: its name there.
    :param parameters: texts such as "angle: -15 to 15 (degrees)"; for a preset, its transforms.
    :param differentiable: whether gradients of the image and of the parameters are those of the change itself, not of a
        stand-in.
    """

    kind: Group
    name: str
    parameters: tuple[str, ...]
    differentiable: bool


def describe() -> Iterator[Entry]:
    """Every entry of ``TRANSFORMS``, ``MIXING``, ``CORRUPTIONS``, ``DOMAINS`` and ``PRESETS``, in this order."""
    yield from _of_classes("transforms", TRANSFORMS)
    for name, cls in MIXING.items():  # images and labels have the exact gradient; who is mixed with whom is a choice
        yield Entry("mixing", name, (f"alpha: {cls().alpha:g} (of Beta(alpha, alpha))",), True)
    for name in CORRUPTIONS:
        yield Entry("corruptions", name, ("severity: an int from 1 to 5", "seed: an int"), False)
    yield from _of_classes("domains", DOMAINS)
    for name, pipeline in PRESETS.items():
        steps = tuple(_step(step) for step in to_dict(pipeline)["transforms"])
        yield Entry("presets", name, steps, pipeline.chain.differentiable)


def _of_classes(kind: Group, table: Mapping[str, type[Transform]]) -> Iterator[Entry]:
    for name, cls in table.items():
        transform = cls()
        values = {field.name: getattr(transform, field.name) for field in fields(transform)}  # type: ignore[arg-type]
        texts = [f"{key}: {_text(value)}{_unit(transform, key)}" for key, value in values.items()]
        yield Entry(kind, name, tuple(texts), transform.differentiable)


def _text(value: object) -> str:
    if not isinstance(value, Distribution):
        return f"{value:g}" if isinstance(value, float) else str(value)
    low, high = value.support
    if isinstance(value, Constant) or low == high:
        numbers = f"{low:g}"
    elif isinstance(value, Choice):
        numbers = f"one of {', '.join(f'{number:g}' for number in value.values)}"
    elif isinstance(value, Normal):
        numbers = f"{value.mean:g} +- {value.std:g}"
    else:
        numbers = f"{low:g} to {high:g}"
    shape = {LogUniform: " log-uniform", Normal: " normal", TruncatedNormal: " normal", Beta: " beta"}.get(
        type(value), ""
    )
    return numbers + shape


def _unit(transform: Transform, parameter: str) -> str:
    """In parentheses; nothing where the parameter's name says it, or the unit is but a range."""
    unit = transform.units.get(parameter, "")
    return "" if unit in ("", parameter) or unit.startswith("from ") else f" ({unit})"


def _step(step: Mapping[str, object]) -> str:
    """A transform of a preset in short: its name, or what it is made of."""
    inner = step.get("transforms") or ([step["transform"]] if "transform" in step else [])
    assert isinstance(inner, list)
    parts = ", ".join(_step(part) for part in inner)
    name = str(step["type"])
    return f"{name}({parts})" if parts else name
