"""Different transforms for different images of one batch, each computed on its own images alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from art_domainrand.randomization.core.transform import Transform, Values
from art_domainrand.randomization.numerics.matrices import is_channels_last


class ChoosingTransform(Transform):
    """Applies some of its members to each image; its first coordinate, the only one of its own, says which."""

    @abstractmethod
    def member(self, u: Tensor) -> Tensor:
        """Which of the members is applied, the last one if several are.

        :param u: the transform's own coordinate, (n,).
        :return: the places of the members, (n,), int64; -1 for none.
        """

    def applies(self, u: Tensor, index: int) -> Tensor:
        """Whether the member at ``index`` is applied, alone or among others.

        :param u: the transform's own coordinate, (n,).
        :param index: the place of a member.
        :return: (n,) bool.
        """
        return self.member(u) == index


def apply_chosen(x: Tensor, choice: Tensor, members: Sequence[Transform | None], values: Sequence[Values]) -> Tensor:
    """Change each image by the transform that it has chosen.

    The images are sorted by their choice, so a member costs as many images as chose it. As slicing a batch changes no
    bits, neither does this.

    :param x: images (B, C, H, W).
    :param choice: the index of a member for each image, (B,) int64 on the CPU, as it is read here.
    :param members: transforms; None leaves images alone.
    :param values: for each member its values for all B images.
    :raises ValueError: for a member that changes the shape of its images.
    """
    if len(x) == 0:
        return x
    counts: list[int] = torch.bincount(choice, minlength=len(members)).tolist()
    order = None if len(x) in counts else choice.argsort(stable=True)
    images = x if order is None else x[order]
    parts, start = [], 0
    for member, own, count in zip(members, values, counts, strict=True):
        rows = slice(start, start + count)
        start += count
        if not count:
            parts += [_no_images(value, x) for value in _leaves(own) if value.requires_grad]
        elif member is None:
            parts.append(images[rows])
        else:
            part = images[rows]
            parts.append(same_shape(part, member.apply(part, own if order is None else take(own, order[rows]))))
    joined = torch.cat(parts) if order is None else torch.cat(parts)[order.argsort()]
    # Members may lay out their images differently; what follows must not see who was chosen in this batch.
    return joined.contiguous(memory_format=torch.channels_last if is_channels_last(x) else torch.contiguous_format)


def take(values: Values, rows: Tensor) -> Values:
    """The values of some of the images."""
    return {name: take(value, rows) if isinstance(value, Mapping) else value[rows] for name, value in values.items()}


def _leaves(values: Values) -> Iterator[Tensor]:
    """All tensors in ``values``, however deep."""
    for value in values.values():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield value


def _no_images(value: Tensor, x: Tensor) -> Tensor:
    """No images like ``x``, yet with ``value`` (B,) in their graph: its gradient is zero rather than missing."""
    return value[:0].view(0, 1, 1, 1).expand(0, *x.shape[1:])


def same_shape(x: Tensor, changed: Tensor) -> Tensor:
    """Return ``changed`` if it has the shape of ``x``, else raise ValueError."""
    if changed.shape != x.shape:
        shapes = f"{tuple(x.shape[1:])}, got {tuple(changed.shape[1:])}"
        raise ValueError(f"a transform applied to some of the images must keep their shape {shapes}")
    return changed


def name_of(transform: Transform) -> str:
    """What a transform is called: its class, or those it is made of."""
    members = getattr(transform, "transforms", None)
    if members is None or isinstance(transform, ChoosingTransform):
        return type(transform).__name__
    return " + ".join(name_of(member) for member in members)
