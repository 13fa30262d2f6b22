"""What tells a model or a function from another that has its name: what it is made of, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import nn

from art_domainrand.core.digests import ADDRESS
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.estimators import predict
from art_domainrand.estimators.state import inner_estimators, left_as_found, torch_models
from art_domainrand.evaluation.conditions.condition import Condition
from art_domainrand.evaluation.sources.base import bytes_of, digest_of
from art_domainrand.randomization.weights_in import is_filled, weights_in

SAME_SHARE = 0.01
"""By what share of the largest score two answers of one model may differ, on other machines and with other batches."""


SAID = 4, 10
"""Of how many images, and how many scores of each, it is noted what a model says."""


def fingerprint(estimator: Any, x: Any) -> str:
    """A hash of what a model computes: of its weights, or where these are not PyTorch's, of what it says of images.

    :param estimator: an ART estimator.
    :param x: a few images for those.
    """
    models = torch_models(estimator)
    parts: list[Any] = [estimator_text(one) for one in inner_estimators(estimator)]
    for model in models:
        parts.append(ADDRESS.sub("", repr(model)))
        for name, value in {**dict(model.named_buffers()), **model.state_dict()}.items():
            parts += [name, *weight_bytes(value)]
    if not models:
        with seeded_global_rng(0), left_as_found(estimator):
            parts += list(bytes_of(np.asarray(estimator.predict(x)).astype(np.float32).round(3)))
    return digest_of(parts)


def said_of(estimator: Any, x: Any) -> list[list[float]]:
    """What a model says of a few images, by which code is known whose weights have stayed the same.

    :param estimator: an ART estimator, whose predictions do not vary.
    :param x: the images.
    :return: the outputs, to six digits; none where they are no finite numbers.
    """
    with seeded_global_rng(0), left_as_found(estimator):
        found = np.asarray(predict(estimator, x), np.float64)
    rows = found.reshape(len(found), -1)[: SAID[0], : SAID[1]]
    return [[float(f"{value:.6g}") for value in row] for row in rows] if np.isfinite(rows).all() else []


def same_answers(one: Any, other: Any) -> bool:
    """Whether two lists of :func:`said_of` are those of the same model, but for rounding."""
    first, second = np.asarray(one or [], np.float64), np.asarray(other or [], np.float64)
    if first.shape != second.shape:
        return False
    return bool(np.allclose(first, second, rtol=0, atol=SAME_SHARE * np.abs(first).max(initial=0)))


def code_digests(conditions: Mapping[str, Condition]) -> dict[str, str]:
    """The hashes of the functions in conditions, by the names of these; of conditions without one, nothing.

    :param conditions: the conditions by name.
    """
    found = {name: list(code_texts(condition)) for name, condition in conditions.items()}
    return {name: digest_of(texts)[:16] for name, texts in found.items() if texts}


def code_texts(value: Any) -> Iterator[str]:
    """The code of the functions in a value, which is a condition, a function or holds some, as text."""
    if isinstance(value, nn.Module | type):
        return
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from code_texts(part)
    elif isinstance(value, partial):
        yield from code_texts(value.func)
        yield plain_value([value.args, sorted(value.keywords.items())])
    else:
        code = getattr(getattr(value, "__func__", value), "__code__", None)
        if isinstance(code, CodeType):
            yield bytecode_text(code)
            cells = [cell.cell_contents for cell in getattr(value, "__closure__", None) or () if is_filled(cell)]
            # What can change while it is used, such as a list that is filled, is no part of what a function is.
            plain = [one for one in cells if one is None or isinstance(one, bool | int | float | str | tuple)]
            yield plain_value([getattr(value, "__defaults__", None), plain])
            yield from code_texts([one for one in cells if callable(one)])


def bytecode_text(code: CodeType) -> str:
    """What a function does, as text that is the same in every process of one version of Python."""
    constants = [bytecode_text(one) if isinstance(one, CodeType) else plain_value(one) for one in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names} {code.co_varnames}"


def plain_value(value: Any) -> str:
    """A value as text, sets in order, addresses left out."""
    if isinstance(value, set | frozenset):
        return f"{{{sorted(map(plain_value, value))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(plain_value, value))}]"
    return ADDRESS.sub("", repr(value))


def estimator_text(estimator: Any) -> str:
    """What an estimator is but for its model: its kind, range, and what comes before and after the model."""
    names = ("clip_values", "channels_first", "preprocessing", "preprocessing_defences", "postprocessing_defences")
    found = {name: plain_text(getattr(estimator, name, None)) for name in names}
    defences = getattr(estimator, "preprocessing_defences", None) or []
    own = weights_in([getattr(defence, "pipeline", None) for defence in defences])
    return f"{type(estimator).__name__} {found}{'' if own is None else f' {own}'}"


def plain_text(value: Any) -> str:
    """A value as text that is the same in every process; of ART's defences their parameters."""
    if isinstance(value, (list, tuple)):
        return str([plain_text(one) for one in value])
    parameters = getattr(value, "params", None)
    if isinstance(parameters, (list, tuple)):
        return f"{type(value).__name__} { {name: plain_text(getattr(value, name, None)) for name in parameters} }"
    return ADDRESS.sub("", repr(value))


def weight_bytes(value: Any) -> Iterable[bytes | str]:
    """The bits of a tensor of any type, on whatever device."""
    if not isinstance(value, torch.Tensor):
        return [repr(value)]
    flat = value.detach().cpu().contiguous().reshape(-1)
    if flat.is_quantized or flat.is_complex():
        return [repr(flat.tolist())]
    return [f"{value.dtype} {tuple(value.shape)}", flat.view(torch.uint8).numpy().tobytes()]
