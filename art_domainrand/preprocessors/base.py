"""What the preprocessors that run a pipeline have in common: ranges, layouts, dtypes, draws and their replay."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import numpy as np
import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.core.arrays import from_array, warn_of_layout, widened
from art_domainrand.core.checks import check_parameters, require
from art_domainrand.core.clamp import straight_through_clamp
from art_domainrand.core.hashing import NUMPY_HASHES
from art_domainrand.core.pixels import ClipRange
from art_domainrand.core.streams import Stream
from art_domainrand.preprocessors.masks import ReadsMasks, moved_masks
from art_domainrand.preprocessors.recent_draws import RecentDraws
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.sampling import keyed_draws
from art_domainrand.randomization.core.transform import Transform
from art_domainrand.randomization.labels.detections import as_detections
from art_domainrand.randomization.labels.geometry import Geometry, refuse_untracked

Clip = Literal["straight_through", "hard"] | None


class Randomizes(Protocol):
    """What is asked of a :class:`~art_domainrand.randomization.Pipeline` here."""

    @property
    def chain(self) -> Transform: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def requires_grad(self) -> bool: ...
    def apply(self, x: Tensor, draw: Draw) -> Tensor: ...
    def geometry(self, draw: Draw, size: Sequence[int] | None = None) -> Geometry: ...


class PipelinePreprocessor(PreprocessorPyTorch, ABC):
    """Run a pipeline on every batch; subclasses say in ``__init__`` where it comes from, and list their arguments.

    Images are (B, C, H, W) or (B, H, W, C), in float16, bfloat16, float32, float64 or uint8; shape, dtype, device and
    layout are kept. uint8 is computed in float32 and rounded, and so has no gradient. A video (B, T, C, H, W) or
    (B, T, H, W, C) takes one draw a clip. Detections, a list or object array with a dictionary for each
    image, follow the images (:meth:`Geometry.detections`; boxes less than a pixel wide or high go), and are refused in
    another form; masks do where ``masks`` says that labels are masks; other labels pass through untouched.

    The n-th image that an object is shown has the n-th draw of its ``seed``, however the images are put into batches.

    Refused, with a ValueError, are images of another shape or dtype, with NaN, or in 8 bits where ``clip_values`` are
    not, and detections that cannot follow a transform, as they cannot a Kornia module with geometry inside. Other
    pixels outside ``clip_values`` (by more than 1e-5 of their range), such as ART's randomized smoothing and universal
    perturbations make, are clipped first, with a RuntimeWarning, said once. CUDA tensors that carry a gradient are not
    searched for such values, since the host would have to wait for the answer.
    """

    def __init__(
        self,
        pipeline: Randomizes,
        *,
        clip_values: tuple[Any, Any],
        channels_first: bool,
        apply_fit: bool,
        apply_predict: bool,
        seed: int | None,
        clip: Clip,
        chunk_size: int,
        device_type: str,
        masks: ReadsMasks | None = None,
    ) -> None:
        require(masks is None or getattr(masks, "takes_integers", False), "masks", "be None or a MaskModality", masks)
        require(clip in ("straight_through", "hard", None), "clip", 'be "straight_through", "hard" or None', clip)
        whole = isinstance(chunk_size, (int, np.integer)) and not isinstance(chunk_size, bool)
        require(whole and chunk_size >= 1, "chunk_size", "be an int >= 1", chunk_size)
        require(device_type in ("gpu", "cpu"), "device_type", 'be "gpu" or "cpu"', device_type)
        flags = {"channels_first": channels_first, "apply_fit": apply_fit, "apply_predict": apply_predict}
        for name, flag in flags.items():
            require(isinstance(flag, (bool, np.bool_)), name, "be True or False", flag)
        super().__init__(device_type=device_type, is_fitted=True, apply_fit=apply_fit, apply_predict=apply_predict)
        self.pipeline: Randomizes = pipeline
        self.clip_values = clip_values
        self.channels_first = bool(channels_first)
        self.seed = seed
        self.clip = clip
        self.chunk_size = int(chunk_size)
        self.device_type = device_type
        self.masks = masks
        self._range = ClipRange(clip_values)
        self._stream = Stream(seed)
        self._recent = RecentDraws()
        self._held: Draw | None = None
        self._holding = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={self._shown(name)}' for name in self.params)})"

    def _shown(self, name: str) -> str:
        return repr(getattr(self, name))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_recent": RecentDraws(), "_held": None, "_holding": False}

    def set_params(self, **kwargs: Any) -> None:
        """Change constructor arguments; all are checked before any is set, and only a new ``seed`` restarts the draws.

        :param kwargs: constructor arguments by name.
        :raises ValueError: for a name that is no argument.
        """
        check_parameters(kwargs, self.params)
        changed = type(self)(**({name: getattr(self, name) for name in self.params} | kwargs))
        if "seed" not in kwargs:
            changed._stream = self._stream
        changed._held, changed._holding = self._held, self._holding
        self.__dict__.update(changed.__dict__)

    def sample(self, n: int, device: torch.device | str = "cpu") -> Draw:
        """Draw for the next images of this object's own stream; they are counted, however many are drawn at a time.

        :param n: the number of images, >= 0.
        :param device: where the draws are to lie.
        """
        few = n * len(self.pipeline.parameters) <= NUMPY_HASHES
        return keyed_draws(self.pipeline, self._stream.keys(n, "cpu" if few else device)).to(device)

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Randomize images with a fresh draw, or the one held by :meth:`replay`.

        :param x: images (B, C, H, W) or (B, H, W, C), or videos, as the class says.
        :param y: labels; detections are moved by the same draw.
        :return: images and labels.
        :raises ValueError: for images and labels that the class says it refuses.
        """
        self._check(x, y)
        draw = self._held_draw(x)
        if draw is None:
            draw = self.sample(len(x), x.device)
            self._recent.remember(x, draw)
        if self._holding:
            self._held = draw
        return self._randomize(x, draw), self._moved(y, x, draw)

    def estimate_forward(self, x: Tensor, y: Any = None) -> Tensor:
        """Randomize images again with the draw of their last forward pass, so that gradient and value belong together.

        :param x: images as :meth:`forward` takes them.
        :param y: labels, which do not count.

        A batch counts as the same if it has the same pixels in the same order and was one of the last four; any other
        batch is drawn afresh, as in :meth:`forward`. Inside :meth:`replay` the draw held there is used.
        """
        self._check(x, y)
        draw = None if self._holding else self._recent.find(x)
        return self.forward(x, y)[0] if draw is None else self._randomize(x, draw)

    def randomize(self, x: Tensor, draw: Draw) -> Tensor:
        """Randomize images by a given draw; unlike :meth:`forward` unchecked.

        :param x: images as :meth:`forward` takes them.
        :param draw: one row for each image.
        """
        return self._randomize(x, draw)

    def __call__(self, x: NDArray[Any], y: Any = None) -> tuple[NDArray[Any], Any]:
        """Randomize a NumPy array, without gradients; return (images, y), detections moved, all else as given."""
        if not isinstance(x, np.ndarray) or x.dtype == object:
            kind = "an array of objects" if isinstance(x, np.ndarray) else type(x).__name__
            raise ValueError(f"x must be a numeric array of images of one size, got {kind}")
        with torch.no_grad():
            changed, y = self.forward(from_array(x).to(self.device, copy=True), y)
        return changed.cpu().numpy(), y

    @contextmanager
    def replay(self, draw: Draw | None = None) -> Iterator[None]:
        """Hold one draw for every call inside the ``with`` block.

        :param draw: the draw to hold; by default the one that the first call takes.

        Image i of every batch gets the i-th draw, so all batches must have as many images as the held draw; another
        number raises ValueError. Blocks nest, the innermost holds.
        """
        before = (self._holding, self._held)
        self._holding, self._held = True, draw
        try:
            yield
        finally:
            self._holding, self._held = before

    @contextmanager
    def drawing_from(self, seed: int) -> Iterator[None]:
        """Take draws from the start of another seed inside the ``with`` block, and go on as before afterwards.

        :param seed: an int >= 0.
        """
        with self._stream.from_the_start(seed):
            yield

    def _held_draw(self, x: Tensor) -> Draw | None:
        if not self._holding or self._held is None:
            return None
        if len(self._held) != len(x):
            raise ValueError(
                f"x must have {len(self._held)} images, as many as the draw held by replay(), got {len(x)}; "
                "a replay over several batches needs batches of one size, and an attack inside it one that keeps "
                "fooled images in its batches: FGSM, PGD, or AutoPGD with early_stop=False"
            )
        return self._held.to(x.device)

    def _randomize(self, x: Tensor, draw: Draw) -> Tensor:
        if torch.is_grad_enabled() and (x.requires_grad or draw.u.requires_grad or self.pipeline.requires_grad):
            return self._randomize_chunk(x, draw)
        if len(x) <= self.chunk_size:
            return self._randomize_chunk(x, draw)
        changed = torch.empty_like(x)
        for start in range(0, len(x), self.chunk_size):
            rows = slice(start, start + self.chunk_size)
            changed[rows] = self._randomize_chunk(x[rows], draw[rows])
        return changed

    def _randomize_chunk(self, x: Tensor, draw: Draw) -> Tensor:
        wide = widened(x)
        unit = straight_through_clamp(self._range.to_unit(wide), 0.0, 1.0)  # transforms are defined there only
        unit = unit if self.channels_first else unit.movedim(-1, -3)
        changed = self.pipeline.apply(unit, draw)
        if changed.shape != unit.shape:
            raise ValueError(
                f"pipeline must keep the image shape {tuple(unit.shape[1:])}, got {tuple(changed.shape[1:])}"
            )
        changed = self._range.from_unit(changed if self.channels_first else changed.movedim(-3, -1))
        if self.clip is not None:
            low, high = self._range.bounds(changed)
            changed = (
                straight_through_clamp(changed, low, high)
                if self.clip == "straight_through"
                else changed.clamp(low, high)
            )
        if x.dtype == torch.uint8:
            changed = changed.detach().round().clamp(0, 255)
        return changed.to(x.dtype)

    def _moved(self, y: Any, x: Tensor, draw: Draw) -> Any:
        """The labels ``y`` for the images that ``x`` becomes."""
        size = x.shape[-2:] if self.channels_first else x.shape[-3:-1]
        if self.masks is not None and y is not None:
            return moved_masks(y, tuple(size), self.pipeline.geometry(draw, size).masks, self.masks)
        return y if as_detections("y", y) is None else self.pipeline.geometry(draw, size).detections(y)

    def _check(self, x: Tensor, y: Any) -> None:
        if not isinstance(x, Tensor) or x.dim() not in (4, 5):
            got = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"x must be a 4D batch of images or a 5D one of videos, got {got}")
        if not x.is_floating_point() and x.dtype != torch.uint8:
            raise ValueError(f"x must be floating or uint8, got {x.dtype}")
        if as_detections("y", y) is not None or (self.masks is not None and y is not None):
            refuse_untracked(self.pipeline.chain)
        warn_of_layout("x", x.shape, channels_first=self.channels_first, stacklevel=4)
        if not (x.is_cuda and x.requires_grad):
            self._range.check_or_warn(x)
