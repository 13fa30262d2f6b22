"""Our transforms and pipelines as members of Kornia's containers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from kornia.augmentation import GeometricAugmentationBase2D
from kornia.constants import Resample
from kornia.geometry import get_perspective_transform
from kornia.geometry.boxes import Boxes
from kornia.geometry.keypoints import Keypoints
from torch import Tensor

from art_domainrand.core.clamp import straight_through_clamp
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.kornia_module import gate_of, with_data
from art_domainrand.randomization.core.pipeline import Item, Pipeline
from art_domainrand.randomization.core.transform import Kind, Transform, leaves_of
from art_domainrand.randomization.labels.geometry import Geometry
from art_domainrand.randomization.numerics.matrices import inverse3x3

Params = dict[str, Tensor]
Flags = dict[str, Any]


class KorniaMember(GeometricAugmentationBase2D):
    """Any transform or pipeline as a ``kornia.augmentation`` module, alone or inside ``AugmentationSequential``.

    ``AugmentationSequential(KorniaMember([Rotation(), Hue()]), RandomHorizontalFlip(), data_keys=["input", "mask",
    "bbox_xyxy", "keypoints"])`` draws once, moves images, masks, boxes and keypoints alike, and undoes the geometry by
    ``inverse``. Kornia's rules hold: numbers come from torch's global generator, a draw is kept in ``_params`` (``u``
    and ``seeds``, one row for each image) and replayed by ``params=``, boxes are in Kornia's inclusive convention,
    keep the corners of a turned box, and are not cut to the image.

    Beyond the image masks are 0. ``transform_matrix`` counts from the first pixel, as Kornia's do; where the change is
    no matrix (a displacement field, shuffled patches) it is NaN, and boxes become those around what they held.

    :param items: a transform, a pipeline, or a list of these, as :class:`Pipeline` takes them.
    :param p: how likely each image is changed, from 0 to 1.
    :param same_on_batch: whether all images of a batch share one draw.
    :param keepdim: whether a single image (C, H, W) comes back without a batch axis.
    :param clip_output: whether images are clipped to [0, 1] in the end, with the gradient passed straight through.
    :raises TypeError: for items that are no transforms, as :class:`Pipeline` does.
    :raises ValueError: in the call, for labels of transforms whose geometry is not known (a Kornia module with geometry
        inside), which are named.
    """

    def __init__(
        self,
        items: Item,
        *,
        p: float = 1.0,
        same_on_batch: bool = False,
        keepdim: bool = False,
        clip_output: bool = True,
    ) -> None:
        super().__init__(p=p, same_on_batch=same_on_batch, keepdim=keepdim)
        self.pipeline = items if isinstance(items, Pipeline) else Pipeline(items)
        self.clip_output = clip_output

    def __repr__(self) -> str:
        return f"KorniaMember({list(self.pipeline.transforms)!r}, p={self.p}, same_on_batch={self.same_on_batch})"

    def forward(self, input: Tensor, params: Params | None = None, data_keys: Sequence[Any] | None = None) -> Tensor:
        changed: Tensor = super().forward(input, params)
        return changed

    def generate_parameters(self, batch_shape: tuple[int, ...]) -> Params:
        draw = self.pipeline.sample(1 if self.same_on_batch else batch_shape[0], torch.default_generator)
        draw = draw.repeat(batch_shape[0]) if self.same_on_batch else draw
        return {"u": draw.u, "seeds": draw.seeds}

    def compute_transformation(self, input: Tensor, params: Params, flags: Flags) -> Tensor:
        if not all(map(is_matrix_or_still, leaves_of(self.pipeline.chain))):
            return input.new_full((len(input), 3, 3), torch.nan)
        height, width = input.shape[-2:]
        edges = (-0.5, width - 0.5), (-0.5, height - 0.5)
        corners = torch.tensor([(x, y) for x in edges[0] for y in edges[1]], dtype=torch.float64, device=input.device)
        corners = corners.expand(len(input), 4, 2)
        moved = self._geometry(params, input).keypoints(corners, swap=False)
        matrix: Tensor = get_perspective_transform(corners, moved).to(input.dtype)
        return matrix

    def compute_inverse_transformation(self, transform: Tensor) -> Tensor:
        return inverse3x3(transform)  # no solver, which would refuse a matrix of NaN

    def apply_transform(self, input: Tensor, params: Params, flags: Flags, transform: Tensor | None = None) -> Tensor:
        changed = self.pipeline.apply(input, draw_of(params, input.device))
        return straight_through_clamp(changed, 0.0, 1.0) if self.clip_output else changed

    def apply_transform_mask(
        self, input: Tensor, params: Params, flags: Flags, transform: Tensor | None = None
    ) -> Tensor:
        return self._masks(input, params, flags)

    def apply_transform_box(self, input: Boxes, params: Params, flags: Flags, transform: Tensor | None = None) -> Boxes:
        return self._boxes(input, params)

    def apply_transform_keypoint(
        self, input: Keypoints, params: Params, flags: Flags, transform: Tensor | None = None
    ) -> Keypoints:
        return self._keypoints(input, params)

    def inverse_inputs(self, input: Tensor, params: Params, flags: Flags, transform: Tensor | None = None) -> Tensor:
        image: Tensor = self.transform_tensor(input)
        if all(map(is_still, leaves_of(self.pipeline.chain))):
            return image
        restored = self._geometry(params, image, inverted=True).apply(image)
        return torch.where(gate_of(self, params, restored), restored, image)

    def inverse_masks(
        self,
        input: Tensor,
        params: Params,
        flags: Flags,
        transform: Tensor | None = None,
        resample: Resample | None = None,
        align_corners: bool | None = None,
    ) -> Tensor:
        mask = self.transform_tensor(input, shape=params["forward_input_shape"], match_channel=False)
        restored = self._masks(mask, params, {**flags, "resample": resample}, inverted=True)
        return torch.where(gate_of(self, params, mask), restored, mask)

    def inverse_boxes(self, input: Boxes, params: Params, flags: Flags, transform: Tensor | None = None) -> Boxes:
        restored = self._boxes(input, params, inverted=True).data
        return with_data(input, torch.where(gate_of(self, params, restored), restored, input.data))

    def inverse_keypoints(
        self, input: Keypoints, params: Params, flags: Flags, transform: Tensor | None = None
    ) -> Keypoints:
        restored = self._keypoints(input, params, inverted=True).data
        return with_data(input, torch.where(gate_of(self, params, restored), restored, input.data))

    def _masks(self, masks: Tensor, params: Params, flags: Flags, *, inverted: bool = False) -> Tensor:
        mode = "bilinear" if flags.get("resample") == Resample.BILINEAR else "nearest"
        moved: Tensor = self._geometry(params, masks, inverted=inverted).masks(masks, mode)
        return moved

    def _boxes(self, boxes: Boxes, params: Params, *, inverted: bool = False) -> Boxes:
        corners, geometry = boxes.data, self._geometry(params, boxes.data, inverted=inverted)
        if all(map(is_matrix_or_still, leaves_of(self.pipeline.chain))):
            return with_data(boxes, geometry.keypoints(corners, swap=False))
        # Kornia's box ends at the centre of its last pixel, ours at that pixel's edge.
        ends = torch.cat((corners.amin(-2), corners.amax(-2) + 1), dim=-1)
        x1, y1, x2, y2 = geometry.boxes(ends, clip=False).unbind(-1)
        xs, ys = (x1, x2 - 1, x2 - 1, x1), (y1, y1, y2 - 1, y2 - 1)
        return with_data(boxes, torch.stack((torch.stack(xs, dim=-1), torch.stack(ys, dim=-1)), dim=-1))

    def _keypoints(self, keypoints: Keypoints, params: Params, *, inverted: bool = False) -> Keypoints:
        return with_data(keypoints, self._geometry(params, keypoints.data, inverted=inverted).keypoints(keypoints.data))

    def _geometry(self, params: Params, labels: Tensor, *, inverted: bool = False) -> Geometry:
        size = params["forward_input_shape"].tolist()[-2:] if "forward_input_shape" in params else labels.shape[-2:]
        return Geometry(self.pipeline.chain, draw_of(params, labels.device), size, inverted=inverted)


def draw_of(params: Params, device: torch.device) -> Draw:
    """The draw that ``params`` hold, on ``device``."""
    return Draw(params["u"], params["seeds"]).to(device)


def is_still(transform: Transform) -> bool:
    """Whether a transform is known to move no point of the image."""
    return transform.kind is not Kind.GEOMETRY and type(transform).carry is Transform.carry and transform.tracked


def is_matrix_or_still(transform: Transform) -> bool:
    """Whether what a transform does to points is a matrix, be it the identity."""
    return transform.has_matrix or is_still(transform)
