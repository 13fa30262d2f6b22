"""What a pipeline can be made of, read as transforms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from torch import nn

from art_domainrand.randomization.core.chain import Chain
from art_domainrand.randomization.core.kornia_module import KorniaAugmentation
from art_domainrand.randomization.core.transform import Transform


@runtime_checkable
class HasChain(Protocol):
    """What holds a chain of transforms, as a pipeline does."""

    chain: Chain


Item: TypeAlias = Transform | HasChain | nn.Module | Sequence[Any]
"""What a pipeline is made of: a transform, a ``kornia.augmentation`` module, another pipeline or a list of these."""


def as_transform(item: Item) -> Transform:
    """Read a transform, a Kornia module, a pipeline or a list of these as one transform; else TypeError."""
    if isinstance(item, (list, tuple)):
        return as_chain(item)
    if isinstance(item, Transform):
        return item
    if isinstance(item, nn.Module):
        return KorniaAugmentation(item)
    if isinstance(item, HasChain):
        return item.chain
    raise TypeError(f"a pipeline takes transforms, kornia.augmentation modules and pipelines, got {item!r}")


def as_chain(items: Item) -> Chain:
    """Read what a pipeline is made of as one chain; nested pipelines and lists are laid flat.

    :raises TypeError: for text and for an item that is no transform, module or pipeline.
    """
    if isinstance(items, str):
        raise TypeError(f"a pipeline takes transforms, not their names, got {items!r}; preset(name) makes one by name")
    return Chain(tuple(_flat([items] if isinstance(items, (Transform, HasChain, nn.Module)) else items)))


def _flat(items: Iterable[Item]) -> Iterator[Transform]:
    if not isinstance(items, Iterable):
        raise TypeError(f"a pipeline must be made of a transform or a list of transforms, got {items!r}")
    for item in items:
        transform = as_transform(item)
        yield from transform.transforms if isinstance(transform, Chain) else (transform,)
