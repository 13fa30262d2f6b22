"""Weights that what a user has made holds, by a hash: what is written of a module or a function does not show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from art_domainrand.core.digests import tensors_digest, text_digest
from art_domainrand.randomization.core.distributions import Distribution
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.transform import Transform

FURTHEST = 8
"""In how many things weights may be held."""


def weights_in(value: Any) -> str | None:
    """A hash of the weights that something holds; None if it holds none.

    Of a pipeline, those of its modules and the tensors that its transforms are made with. Of a function, those of
    what it is a method of, was bound to by ``functools.partial``, has as defaults or in its closure: modules, fitted
    transforms, and whatever has a ``digest``. Tensors and lists that a function holds may be what it works on.

    :param value: a pipeline, a transform, a module or a function.
    """
    found = list(_digests(value, FURTHEST, set()))
    return found[0] if len(found) == 1 else text_digest(" ".join(found)) if found else None


def module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of a module by name, also buffers that its state leaves out."""
    named = {**dict(module.named_buffers()), **module.state_dict()}
    return {name: value for name, value in named.items() if isinstance(value, Tensor) and has_numbers(value)}


def has_numbers(value: Tensor) -> bool:
    """Whether a tensor has bits to hash by now, which those of lazy modules and of the meta device have not."""
    return not is_lazy(value) and not value.is_meta and value.layout is torch.strided


def _digests(value: Any, further: int, functions: set[int]) -> Iterator[str]:
    if further <= 0 or id(value) in functions or isinstance(value, type | str | Distribution):
        return
    if isinstance(value, FunctionType):  # those that call one another hold one another
        functions.add(id(value))
    own = _own_digest(value)
    if own is not None:
        yield from [own] if own else []
        return
    for part in _held(value):
        if isinstance(part, Pipeline | Transform):  # which nothing else says, as it does not of what a pipeline has
            yield text_digest(repr(part))
        yield from _digests(part, further - 1, functions)
    for part in _parts(value):
        yield from _digests(part, further - 1, functions)


def _own_digest(value: Any) -> str | None:
    """The hash of what is weights, "" for a module without any; None for what may hold some."""
    known = getattr(value, "digest", None)
    if isinstance(value, nn.Module):
        tensors = module_tensors(value)
        return tensors_digest(tensors) if tensors else ""
    if isinstance(known, str):
        return known
    if isinstance(value, Tensor):
        return tensors_digest({"": value}) if has_numbers(value) else ""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return text_digest(f"{value.dtype} {value.shape} {value.tobytes().hex()}")
    return None


def _parts(value: Any) -> list[Any]:
    """What something is made of."""
    if isinstance(value, Pipeline):
        return list(value.transforms)
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple):
        return list(value)
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    return []


def _held(value: Any) -> list[Any]:
    """What a function holds that stays as it is."""
    held: list[Any] = []
    if isinstance(value, partial):
        held = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, MethodType):
        held = [value.__self__, value.__func__]
    elif isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if is_filled(cell)]
        held = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *cells]
    return [one for one in held if _stays(one)]


def _stays(value: Any) -> bool:
    kinds = (nn.Module, Pipeline, Transform, partial, MethodType, FunctionType)
    return isinstance(value, kinds) or isinstance(getattr(value, "digest", None), str)


def is_filled(cell: Any) -> bool:
    """Whether a variable of a closure has a value by now."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
