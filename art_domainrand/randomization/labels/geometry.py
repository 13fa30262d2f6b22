"""Labels follow the image: boxes, masks, keypoints and detections, forth and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.transform import Kind, Transform, Values, leaves_of, settled, untracked_in
from art_domainrand.randomization.labels.detections import (
    MOVING,
    as_detections,
    check_rows,
    in_form_of,
    in_list_of,
    tidied,
    to_tensor,
)
from art_domainrand.randomization.labels.outlines import occupied_extent, unit_outline
from art_domainrand.randomization.labels.reading import Sources, in_double, read_at, sources_of
from art_domainrand.randomization.labels.rows import LabelTable, check_boxes, check_fill
from art_domainrand.randomization.labels.settling import cut_boxes, mark_lost
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame, Sampling, Settle

LabelBatch: TypeAlias = "Tensor | Sequence[Tensor]"
"""Labels of B images: one tensor (B, ...), or a list of B tensors of any length."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """How one draw of a pipeline moves what is in its images: ``pipeline.geometry(draw, size)``.

    Positions are in pixels, x to the right and y down, as in torchvision: the keypoint (3, 5) is the centre of the
    pixel in column 3 of row 5, while boxes have their edges between the pixels, and (3, 5, 4, 6) is just that pixel.
    Everything is worked out in float64 and returned in the dtype it was given in, integer positions as float32.

    :param chain: the transforms of the pipeline.
    :param draw: the draw of B images.
    :param size: (height, width) of the images, or a shape that ends with them; boxes and keypoints need it.
    :param inverted: labels go from the randomized images back to the original ones: ``pipeline.inverse(draw, size)``.
    :raises ValueError: for a transform that moves pixels and cannot say where (a Kornia module with geometry inside),
        and for a draw or labels that do not match.
    """

    chain: Transform
    draw: Draw
    size: Sequence[int] | None = None
    inverted: bool = False

    def __post_init__(self) -> None:
        refuse_untracked(self.chain)
        if self.draw.u.shape[1] != len(self.chain.parameters):
            wanted = len(self.chain.parameters)
            raise ValueError(f"draw must have {wanted} coordinates per image, got {self.draw.u.shape[1]}")
        if self.size is not None and (len(self.size) < 2 or min(self.size[-2:]) < 1):
            raise ValueError(f"size must be (height, width), both >= 1, got {tuple(self.size)}")

    def inverse(self) -> Geometry:
        """The way back: matrices inverted exactly, displacement fields to far below a hundredth of a pixel."""
        return replace(self, inverted=not self.inverted)

    def apply(self, x: Tensor, mode: str = "bilinear") -> Tensor:
        """Move the pixels of images in one sampling, and change neither colour nor noise.

        What lies beyond an image is what the transforms' padding says; on the way back it is zero. Differentiable in
        ``x`` and in ``draw.u``.

        :param x: images (B, C, H, W), floating, or videos (B, T, C, H, W), which move as their clip's draw says.
        :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
        :raises ValueError: for anything else.
        """
        self._check("x", x)
        if not isinstance(x, Tensor) or x.dim() not in (4, 5) or not x.is_floating_point():
            got = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"x must be a floating (B, C, H, W) or (B, T, C, H, W) tensor, got {got}")
        if x.numel() == 0:
            return x
        planes = x.reshape(len(x), -1, *x.shape[-2:])
        return read_at(planes, self._sources(x.shape, mode), Sampling(mode)).view(x.shape)

    def masks(self, masks: LabelBatch, mode: str = "nearest", *, fill: float | None = 0) -> Any:
        """Move masks.

        :param masks: (B, H, W), (B, N, H, W) or a list of B masks (N, H, W) or (H, W), all of one size.
        :param mode: "nearest": each pixel is one of the original, of any dtype; "bilinear" is for soft, floating masks.
        :param fill: what lies beyond an image: 0, as no instance does, or what a loss for semantic masks ignores, such
            as 255. None takes what the transforms' padding says, as the image does, where a border or a mirror image
            has labels.
        :return: masks of the same form.
        :raises ValueError: for another mode, masks that do not fit, and a ``fill`` that their dtype does not hold.
        """
        if mode not in ("nearest", "bilinear"):
            raise ValueError(f'mode must be "nearest" or "bilinear", got {mode!r}')
        self._check("masks", masks)
        sizes = {tuple(part.shape[-2:]) for part in masks}
        if len(sizes) > 1 or any(part.dim() < 2 for part in masks):
            raise ValueError(f"masks must be (..., H, W), all of one size, got {sorted(sizes)}")
        if not sizes:
            return masks
        for dtype in {part.dtype for part in masks}:
            if mode == "bilinear" and not dtype.is_floating_point:
                raise ValueError(f'masks must be floating for mode="bilinear", got {dtype}')
            check_fill(fill, dtype)
        points = self._sources(sizes.pop(), mode, cut=fill is not None)
        read = partial(read_at, sampling=Sampling(mode), fill=fill or 0)
        if isinstance(masks, Tensor):
            return read(masks.flatten(1, -3) if masks.dim() > 3 else masks[:, None], points).view(masks.shape)
        pairs = zip(masks, zip(*(torch.split(part, 1) for part in points), strict=True), strict=True)
        return [read(part[None].reshape(1, -1, *part.shape[-2:]), source).view(part.shape) for part, source in pairs]

    def keypoints(self, keypoints: LabelBatch, *, swap: bool = True) -> Any:
        """Move points; they are not clipped.

        Those that a :class:`Flip` calls ``pairs`` change places where it mirrors the image, along the axis before the
        last.

        :param keypoints: (B, ..., 2) in pixels, or with a visibility (B, ..., 3), or a list of B tensors (..., 2) or
            (..., 3). A visibility becomes 0 once the point has left the image, even if it comes back.
        :param swap: whether those ``pairs`` do change places.
        :return: points of the same form.
        :raises ValueError: for points that do not fit.
        """
        self._check("keypoints", keypoints)
        rows, frame = LabelTable.read("keypoints", keypoints, (2, 3), self.draw.u.device), self._frame()
        x, y = (rows.table[..., :2] - self._corner(frame, 1)).unbind(2)
        moved = self._carry(Coords(x[..., None], y[..., None]), frame, mark_lost)
        columns = [torch.cat((moved.x, moved.y), dim=2) + self._corner(frame, 1), rows.table[..., 2:]]
        if moved.lost is not None:
            columns[1] = columns[1] * ~moved.lost
        return self._reordered(rows.write(torch.cat(columns, dim=2)), swap)

    def boxes(self, boxes: LabelBatch, *, clip: bool = True) -> Any:
        """Move boxes: each becomes the box around what it held.

        Where patches are shuffled, the result is the box around all pieces, cut to the image.

        :param boxes: (x1, y1, x2, y2) in pixels, (B, ..., 4) or a list of B tensors (N, 4). One with x2 < x1 or y2 < y1
            is read as x1 < x2, with a warning.
        :param clip: cut boxes to the image after every resampling, so that what has left stays out; a box of which
            nothing is left has no width and no height.
        :return: boxes of the same form.
        :raises ValueError: for NaN and infinite boxes.
        """
        self._check("boxes", boxes)
        rows, frame = LabelTable.read("boxes", boxes, (4,), self.draw.u.device), self._frame()
        check_boxes(rows.table)
        leaves = list(leaves_of(self.chain))
        if any(leaf.kind is Kind.PIXEL and type(leaf).carry is not Transform.carry for leaf in leaves):
            return rows.write(self._boxes_of_pixels(rows.table, frame))
        bent = any(leaf.kind is Kind.GEOMETRY and not leaf.has_matrix for leaf in leaves)
        along_x, along_y = unit_outline(rows.table, bent=bent)
        x1, y1, x2, y2 = rows.table[..., None].unbind(2)
        half_x, half_y = frame.width / 2, frame.height / 2
        outline = Coords(torch.lerp(x1, x2, along_x) - half_x, torch.lerp(y1, y2, along_y) - half_y)
        moved = self._carry(outline, frame, cut_boxes if clip else None)
        x, y = moved.x + half_x, moved.y + half_y
        found = torch.stack((x.amin(2), y.amin(2), x.amax(2), y.amax(2)), dim=2)
        if moved.lost is not None:
            found = torch.where(moved.lost[..., :1], found[..., :2].repeat(1, 1, 2), found)
        return rows.write(found)

    def detections(
        self,
        targets: Sequence[Mapping[str, Any]],
        *,
        clip: bool = True,
        drop_empty: bool = True,
        min_size: float = 1.0,
    ) -> Any:
        """Move the labels of images as torchvision's and ART's detectors take them.

        "boxes" (N, 4), "masks" (N, H, W) and "keypoints" (N, K, 2 or 3) follow the image; "area" becomes that of the
        new masks, or else of the new boxes. All else stays as it is. Tensors stay tensors, NumPy arrays arrays.

        :param targets: a dictionary for each of B images, in a list, a tuple or an object array.
        :param clip: as in :meth:`boxes`.
        :param drop_empty: boxes narrower or lower than ``min_size`` go, and so do their rows of "labels", "scores",
            "masks", "keypoints", "area" and "iscrowd".
        :param min_size: the least width and height of a box, in pixels.
        :return: dictionaries in a list, or in an object array if they came in one.
        :raises ValueError: if such an entry has not a row for each box, and for detections in another form, such as one
            dictionary for all images.
        """
        given = as_detections("targets", targets)
        listed = targets if given is None else given
        self._check("targets", listed)
        for target in listed if drop_empty else ():
            check_rows(target)
        moved = [dict(target) for target in listed]
        for key in MOVING:
            images = [index for index, target in enumerate(moved) if key in target]
            if not images:
                continue
            part = replace(self, draw=self.draw[images])
            mover: Callable[[LabelBatch], Any] = (
                partial(part.boxes, clip=clip) if key == "boxes" else getattr(part, key)
            )
            for index, value in zip(images, mover([to_tensor(moved[index][key]) for index in images]), strict=True):
                moved[index][key] = value
        pairs = zip(moved, listed, strict=True)
        return in_list_of(targets, [in_form_of(old, tidied(new, drop_empty, min_size)) for new, old in pairs])

    @cached_property
    def _values(self) -> Values:
        u = self.draw.u
        return in_double(self.chain.values(u if u.dtype == torch.float64 else u.float(), self.draw.seeds))

    def _carry(self, points: Coords, frame: Frame, settle: Settle | None) -> Coords:
        """Where ``points`` of an image come to lie, and what ``settle`` makes of them there."""
        way = Carrying(self.inverted, None if self.inverted else settle)
        moved = self.chain.carry(points, self._values, frame, way)
        return moved if settle is None else settle(moved, Sampling(), frame)

    def _reordered(self, keypoints: Any, swap: bool) -> Any:
        """Moved keypoints, left and right ones in each other's place where the image was mirrored."""
        if not swap or not any(getattr(leaf, "pairs", ()) for leaf in leaves_of(self.chain)):
            return keypoints
        parts = []
        for image, part in enumerate(keypoints):
            places = torch.arange(part.shape[-2], device=self.draw.u.device)
            one = replace(self, draw=self.draw[image])
            order = self.chain.reorder(places[None], one._values, Carrying(self.inverted))
            parts.append(part.index_select(-2, order[0].to(part.device)))
        return torch.stack(parts) if isinstance(keypoints, Tensor) else parts

    def _sources(self, size: Sequence[int], mode: str, *, cut: bool = False) -> Sources:
        """Where each pixel of the moved image was before; with ``cut`` nothing is read from beyond an image."""

        def carry(points: Coords, frame: Frame, way: Carrying) -> Coords:
            return settled(self.chain, self.chain.carry(points, self._values, frame, way), frame, way)

        return sources_of(carry, self.draw.u, size, mode, cut=cut, inverted=self.inverted)

    def _boxes_of_pixels(self, boxes: Tensor, frame: Frame) -> Tensor:
        """The boxes around the moved pixels of ``boxes`` (B, N, 4)."""
        x, y = (torch.arange(size, device=boxes.device) + 0.5 for size in (frame.width, frame.height))
        corners = boxes[..., None].unbind(2)
        x1, y1, x2, y2 = (pick(*corners[k::2]) for pick in (torch.minimum, torch.maximum) for k in (0, 1))
        columns, rows = (x1 <= x) & (x < x2), (y1 <= y) & (y < y2)
        moved = self.masks(rows[..., :, None] & columns[..., None, :])
        ends = [occupied_extent(moved.any(axis)) for axis in (2, 3)]
        return torch.stack((ends[0][0], ends[1][0], ends[0][1], ends[1][1]), dim=2).to(boxes.dtype)

    def _frame(self) -> Frame:
        if self.size is None:
            raise ValueError("size must be given as (height, width) to move boxes or keypoints, got None")
        return Frame(1, int(self.size[-2]), int(self.size[-1]))

    def _corner(self, frame: Frame, pixel: int) -> Tensor:
        half = ((frame.width - pixel) / 2, (frame.height - pixel) / 2)
        return torch.tensor(half, dtype=torch.float64, device=self.draw.u.device)

    def _check(self, name: str, labels: Sequence[Any] | Tensor) -> None:
        if not isinstance(labels, (Tensor, list, tuple)):
            raise ValueError(f"{name} must be a tensor or a list with one entry for each image, got {type(labels)}")
        if len(labels) != len(self.draw):
            raise ValueError(f"{name} must be for {len(self.draw)} images, as many as the draw has, got {len(labels)}")


def refuse_untracked(transform: Transform) -> None:
    """Raise ValueError, naming them, if there are transforms that cannot say where pixels go."""
    names = untracked_in(transform)
    if names:
        raise ValueError(
            f"labels cannot follow {', '.join(names)}, whose geometry is not tracked; use the transforms of "
            "art_domainrand.randomization instead"
        )
