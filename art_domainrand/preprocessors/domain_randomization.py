"""Domain randomization as a preprocessing defence of ART."""

from __future__ import annotations

from typing import Any

from art_domainrand.preprocessors.base import OPTIONS, Clip, PipelinePreprocessor
from art_domainrand.randomization.core.pipeline import Item, Pipeline


class DomainRandomization(PipelinePreprocessor):
    """Show the model a random version of every image.

    :param pipeline: a :class:`Pipeline`, or what one is made from: transforms and ``kornia.augmentation`` modules.
    :param clip_values: the smallest and the largest pixel value; numbers or arrays that broadcast to one image.
    :param channels_first: whether images are (C, H, W) rather than (H, W, C).
    :param apply_fit: randomize what the model is trained on. ART's ``PyTorchClassifier.fit`` preprocesses the data once
        only, before the first epoch.
    :param apply_predict: randomize what the model predicts on, and what it is attacked on.
    :param seed: an int >= 0 makes every run see the same images; None takes fresh entropy. Copies of the object and
        forked processes take streams of their own, see :class:`Stream`.
    :param clip: how the result is clipped to ``clip_values``: "straight_through" passes the gradient on as if it were
        not clipped, "hard" has no gradient where it is; None does not clip.
    :param chunk_size: how many images are transformed at a time where no gradient is asked for; it changes no result.
    :param device_type: where NumPy arrays are processed, "gpu" (if there is one) or "cpu"; tensors stay where they are.

    Images are (B, C, H, W) or (B, H, W, C), in float16, bfloat16, float32, float64 or uint8; shape, dtype, device and
    layout are kept. uint8 is computed in float32 and rounded, and so has no gradient. A video (B, T, C, H, W) or
    (B, T, H, W, C) takes one draw a clip. Detections, a list or object array with a dictionary for each
    image, follow the images (:meth:`Geometry.detections`; boxes less than a pixel wide or high go), and are refused in
    another form; other labels pass through untouched.

    ``forward`` raises ValueError for images of another shape or dtype, with NaN, or outside ``clip_values`` (by more
    than 1e-5 of their range), and for detections that cannot follow a transform, as they cannot a Kornia module with
    geometry inside. CUDA tensors that carry a gradient are not searched for such values, since the host would have to
    wait for the answer.
    """

    params = ["pipeline", *OPTIONS]  # noqa: RUF012 - declared so by ART

    def __init__(
        self,
        pipeline: Item,
        *,
        clip_values: tuple[Any, Any] = (0, 1),
        channels_first: bool = True,
        apply_fit: bool = True,
        apply_predict: bool = False,
        seed: int | None = None,
        clip: Clip = "straight_through",
        chunk_size: int = 256,
        device_type: str = "gpu",
    ) -> None:
        super().__init__(
            pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline),
            clip_values=clip_values,
            channels_first=channels_first,
            apply_fit=apply_fit,
            apply_predict=apply_predict,
            seed=seed,
            clip=clip,
            chunk_size=chunk_size,
            device_type=device_type,
        )
