"""MultiModal: one draw for all modalities of a scene, as a dictionary of tensors or as the channels of one image."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from art_domainrand.core.arguments import Text, require, suggesting_names
from art_domainrand.core.arrays import widened
from art_domainrand.randomization.core.chain import Chain
from art_domainrand.randomization.core.distributions import Distribution
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.pipeline import Item, Pipeline
from art_domainrand.randomization.core.sampling import sample_points
from art_domainrand.randomization.labels.geometry import Geometry
from art_domainrand.randomization.modalities.kinds import ImageModality, transform_or_none
from art_domainrand.randomization.modalities.modality import Modality
from art_domainrand.randomization.modalities.stacked import StackedModalities, check_known, checked_channels

FEW_CHANNELS = 4
"""A picture of so many columns, and of more rows and channels, is one whose channels stand last."""


class MultiModal:
    """A random change of scenes that are seen in several modalities: RGB, depth, thermal, masks.

    One draw moves all of them together by ``geometry``: every modality by the same values, each read in its own way.
    Then each is changed by its own transforms, whose coordinates are its own: light falls on what RGB sees, noise on
    what the depth sensor measures. In the order of nature, too: what a sensor adds is not moved with the scene.

    ``MultiModal({"rgb": [Brightness()], "depth": DepthModality(), "mask": MaskModality()}, [Rotation(), Scale()])``

    It draws, replays and slices as a :class:`~art_domainrand.randomization.Pipeline` does, on dictionaries. What a
    modality becomes does not depend on which others are given beside it. :meth:`stacked` is the same for one image
    with the modalities as its channels, which is what an estimator of ART takes; to the bit, with the same draw.

    :param modalities: name -> an :class:`ImageModality`, :class:`DepthModality` or :class:`MaskModality`. Transforms
        (or what a pipeline is made of) stand for an image that they change, None or [] for one that is moved alone.
    :param geometry: the transforms that move all of them; they may be chosen (``OneOf``, ``Sometimes``), not coloured.
        None or [] for none.
    :raises ValueError: for no modalities, for transforms of a modality that move pixels, and for a geometry that does
        anything else, or whose positions are not tracked, as a Kornia module's are not.
    :raises TypeError: for what is no transform.
    """

    @suggesting_names
    def __init__(self, modalities: Mapping[str, Modality | Item | None], geometry: Item | None = None) -> None:
        found = isinstance(modalities, Mapping) and len(modalities) > 0
        require(found, "modalities", "be a dictionary with at least one modality", modalities)
        read = {name: _as_modality(name, item) for name, item in modalities.items()}
        moving = transform_or_none(geometry)
        # How many channels each has is not known here: none is stacked.
        self._stack = StackedModalities(tuple(read), tuple(read.values()), (), (), moving)
        self.chain = Chain((self._stack,))

    def __repr__(self) -> str:
        return f"MultiModal({dict(self.modalities)!r}, {self._stack.geometry!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MultiModal) and self.chain == other.chain

    def __hash__(self) -> int:
        return hash(self.chain)

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """What each modality is, by name."""
        return dict(zip(self._stack.names, self._stack.modalities, strict=True))

    @property
    def parameters(self) -> Mapping[str, Distribution]:
        """The coordinates of the unit cube: those of the geometry, then those of each modality's own transforms."""
        return self.chain.parameters

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        *,
        method: str = "uniform",
    ) -> Draw:
        """Draw a point of the unit cube and a seed for each scene.

        :param n: the number of scenes, >= 0.
        :param generator: where the draw comes from, by default the operating system; no global generator is touched.
        :param device: where the draw is to lie; by default where the ``generator`` lives.
        :param method: how the points lie to one another, see :meth:`Pipeline.sample`.
        :raises TypeError: for a generator that is none.
        :raises ValueError: for a negative ``n`` and an unknown method.
        """
        return sample_points(n, len(self.parameters), generator, device, method)

    def apply(self, pictures: Mapping[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        """Change each scene as the draw says; nothing is clipped.

        :param pictures: name -> (B, C, H, W), or (B, H, W) for one channel, all of one size, on the device of the draw;
            some of the modalities are enough. Floating; masks of any dtype. In [0, 1] where transforms of their own
            change the values; depth that is only moved may be in metres.
        :param draw: a draw for B scenes.
        :return: the same names, shapes and dtypes.
        :raises ValueError: for an unknown name (with the nearest), pictures of different sizes or numbers, and what the
            transforms of a modality do not take.
        """
        self._check(pictures, draw)
        planes = {name: x[:, None] if x.dim() == 3 else x for name, x in pictures.items()}
        changed: dict[str, Tensor] = {}
        first = next(iter(planes.values()))
        if not first.numel():
            return dict(pictures)
        with torch.autocast(first.device.type, enabled=False):
            for dtype, names in self._by_dtype(planes, draw).items():
                values = self.chain.values(draw.u.to(dtype), draw.seeds)["0"]
                wide = {name: widened(x) if x.is_floating_point() else x for name, x in planes.items() if name in names}
                changed |= self._stack.apply_each(wide, values)
        return {name: changed[name].to(x.dtype).view(x.shape) for name, x in pictures.items()}

    def __call__(self, pictures: Mapping[str, Tensor], generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Draw and apply: a fresh random version of the scenes."""
        require(isinstance(pictures, Mapping) and len(pictures) > 0, "pictures", "be a dictionary of tensors", pictures)
        first = next(iter(pictures.values()))
        return self.apply(pictures, self.sample(len(first), generator, first.device))

    def geometry(self, draw: Draw, size: Sequence[int] | None = None) -> Geometry:
        """How a draw moves boxes, masks, keypoints and detections, as :meth:`Pipeline.geometry` says.

        :param draw: the draw with which the scenes were changed.
        :param size: (height, width), or any shape that ends in them.
        """
        return Geometry(self.chain, draw, size)

    def inverse(self, draw: Draw, size: Sequence[int] | None = None) -> Geometry:
        """The way back from the changed scenes, for pictures and labels.

        :param draw: the draw with which the scenes were changed.
        :param size: as in :meth:`geometry`.
        """
        return Geometry(self.chain, draw, size, inverted=True)

    def stacked(self, channels: Mapping[str, int]) -> Pipeline:
        """The pipeline that does the same to one image, whose channels are those of the modalities.

        It has the same coordinates, so a draw of either is one of both. What takes a pipeline takes it: preprocessors,
        attacks on the domain, training, evaluations, JSON; :meth:`of` leads back.

        :param channels: name -> how many, in the order of the image: ``{"rgb": 3, "depth": 1}`` has 4 channels. Those
            not named are not part of the image.
        :raises ValueError: for an unknown name (with the nearest), a number below 1, and one that the modality does not
            take, such as a saturation of one channel.
        """
        known = isinstance(channels, Mapping) and len(channels) > 0
        require(known, "channels", "be a dictionary of numbers of channels", channels)
        for name in channels:
            check_known("channels", name, self._stack.names)
        stack = self._stack
        layout = (tuple(channels), tuple(channels.values()))
        return Pipeline(StackedModalities(stack.names, stack.modalities, *layout, stack.geometry))

    @classmethod
    def of(cls, pipeline: Pipeline) -> MultiModal:
        """The modalities of a pipeline that :meth:`stacked` made, such as one read from JSON.

        :param pipeline: such a pipeline.
        :raises ValueError: for any other.
        """
        stack = pipeline.transforms[0] if len(pipeline.transforms) == 1 else None
        if not isinstance(stack, StackedModalities):
            raise ValueError(f"pipeline must be one that MultiModal.stacked made, got {pipeline!r:.200}")
        return cls(dict(zip(stack.names, stack.modalities, strict=True)), stack.geometry)

    def _by_dtype(self, planes: Mapping[str, Tensor], draw: Draw) -> dict[torch.dtype, list[str]]:
        """The names of what is computed alike; integers go with the widest of the floating ones."""
        dtypes = {name: widened(x).dtype for name, x in planes.items() if x.is_floating_point()}
        widest = max([*dtypes.values(), widened(draw.u).dtype][: len(dtypes) or 1], key=lambda dtype: dtype.itemsize)
        groups: dict[torch.dtype, list[str]] = {}
        for name in planes:
            groups.setdefault(dtypes.get(name, widest), []).append(name)
        return groups

    def _check(self, pictures: Mapping[str, Tensor], draw: Draw) -> None:
        require(isinstance(pictures, Mapping) and len(pictures) > 0, "pictures", "be a dictionary of tensors", pictures)
        last = next((said_last(name, x) for name, x in pictures.items() if has_channels_last(x)), "")
        for name, x in pictures.items():
            check_known("pictures", name, self._stack.names)
            argument = f"pictures[{name!r}]"
            got = Text(f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__)
            rule = "be a tensor (B, C, H, W) or (B, H, W)"
            require(isinstance(x, Tensor) and x.dim() in (3, 4), argument, rule, got)
            modality = self._stack.modality(name)
            floating = x.is_floating_point() or modality.takes_integers
            require(floating, argument, "be floating; only masks have other dtypes", x.dtype)
            with advised(last):
                checked_channels(name, modality, x.shape[1] if x.dim() == 4 else 1)
        with advised(last):
            check_alike(pictures)
        for name, x in pictures.items():
            argument = f"pictures[{name!r}]"
            require(len(x) == len(draw), argument, f"have {len(draw)} scenes, as many as the draw", len(x))
            require(x.device == draw.u.device, argument, f"be on the device of the draw, {draw.u.device}", x.device)
        if last:
            warnings.warn(last.replace("must be", "should be", 1), RuntimeWarning, stacklevel=3)
        count = len(self.parameters)
        require(draw.u.shape[1] == count, "draw", f"have {count} coordinates per scene", draw.u.shape[1])


def check_alike(pictures: Mapping[str, Tensor]) -> None:
    """Refuse pictures of different numbers, sizes or devices. All are said: which is wrong is not known.

    :param pictures: name -> (B, C, H, W) or (B, H, W).
    :raises ValueError: with what each of them has.
    """
    shapes = Text(f"shapes { ({name: tuple(x.shape) for name, x in pictures.items()}) }")
    devices = {name: str(x.device) for name, x in pictures.items()}
    require(len({len(x) for x in pictures.values()}) == 1, "pictures", "be of the same number of scenes", shapes)
    sizes = {tuple(x.shape[-2:]) for x in pictures.values()}
    require(len(sizes) == 1, "pictures", "all have the same height and width; resize them first", shapes)
    require(len(set(devices.values())) == 1, "pictures", "be on one device", devices)


def has_channels_last(x: Any) -> bool:
    """Whether a picture is so thin, of so many channels, that its axes are likely (B, H, W, C)."""
    shape = tuple(x.shape) if isinstance(x, Tensor) else ()
    return len(shape) == 4 and shape[3] <= FEW_CHANNELS < min(shape[1:3])


def said_last(name: str, x: Tensor) -> str:
    """What a picture must be whose channels look to be last."""
    looks = "which looks like (B, H, W, C): permute(0, 3, 1, 2) it"
    return f"pictures[{name!r}] must be (B, C, H, W), got shape {tuple(x.shape)}, {looks}"


@contextmanager
def advised(last: str) -> Iterator[None]:
    """Say of a picture whose channels look to be last that this is wrong, in place of what does not fit for it."""
    try:
        yield
    except ValueError as error:
        if not last:
            raise
        raise ValueError(last) from error


def _as_modality(name: str, item: Modality | Item | None) -> Modality:
    if isinstance(item, Modality):
        return item
    try:
        return ImageModality(item)
    except (TypeError, ValueError) as error:
        raise type(error)(f"modalities[{name!r}]: {error}") from None
