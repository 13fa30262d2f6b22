"""Domain randomization as a preprocessing defence of ART."""

from __future__ import annotations

from typing import Any

import torch

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.checks import Text, require
from art_domainrand.preprocessors.base import Clip, PipelinePreprocessor
from art_domainrand.preprocessors.masks import ReadsMasks
from art_domainrand.randomization.core.pipeline import Item, Pipeline, pipeline_from


class DomainRandomization(PipelinePreprocessor):
    """Show the model a random version of every image.

    :param pipeline: a :class:`Pipeline`, or what one is made from: transforms and ``kornia.augmentation`` modules.
    :param clip_values: the smallest and the largest pixel value; numbers or arrays that broadcast to one image.
    :param channels_first: whether images are (C, H, W) rather than (H, W, C).
    :param apply_fit: randomize what the model is trained on. ART's ``PyTorchClassifier.fit`` preprocesses the data once
        only, before the first epoch.
    :param apply_predict: randomize what the model predicts on, and what it is attacked on.
    :param seed: an int >= 0 makes every run see the same images; None takes fresh entropy. Copies of the object and
        forked processes take streams of their own, see
        :class:`~art_domainrand.core.streams.Stream`.
    :param clip: how the result is clipped to ``clip_values``: "straight_through" passes the gradient on as if it were
        not clipped, "hard" has no gradient where it is; None does not clip.
    :param chunk_size: how many images are transformed at a time where no gradient is asked for; it changes no result.
    :param device_type: where NumPy arrays are processed, "gpu" (if there is one) or "cpu"; tensors stay where they are.
    :param masks: a :class:`~art_domainrand.randomization.MaskModality` says that labels are masks (B, H, W) or
        (B, N, H, W) of the images' size, which are moved by the same draw and read as it says; others are refused.
        None leaves arrays of labels alone.

    Which images are taken and which refused, what becomes of labels, and what ``seed`` makes equal from run to run is
    said at :class:`~art_domainrand.preprocessors.base.PipelinePreprocessor`; :meth:`for_estimator` takes range, layout
    and device from an estimator.
    """

    params = [  # noqa: RUF012 - declared so by ART
        "pipeline",
        "clip_values",
        "channels_first",
        "apply_fit",
        "apply_predict",
        "seed",
        "clip",
        "chunk_size",
        "device_type",
        "masks",
    ]

    pipeline: Pipeline

    @suggesting_names
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
        masks: ReadsMasks | None = None,
    ) -> None:
        super().__init__(
            pipeline_from("pipeline", pipeline),
            clip_values=clip_values,
            channels_first=channels_first,
            apply_fit=apply_fit,
            apply_predict=apply_predict,
            seed=seed,
            clip=clip,
            chunk_size=chunk_size,
            device_type=device_type,
            masks=masks,
        )

    @classmethod
    @suggesting_names
    def for_estimator(
        cls,
        estimator: Any,
        pipeline: Item,
        *,
        apply_fit: bool = True,
        apply_predict: bool = False,
        seed: int | None = None,
        clip: Clip = "straight_through",
        chunk_size: int = 256,
        masks: ReadsMasks | None = None,
    ) -> DomainRandomization:
        """The randomization of images as ``estimator`` takes them: its ``clip_values``, its layout, on its device.

        :param estimator: An estimator of ART with ``clip_values``. Without ``channels_first`` its images are (C, H, W);
            where its device is no GPU, or unknown, NumPy arrays are processed on the CPU.
        :param pipeline: A :class:`Pipeline`, or what one is made from.
        :param apply_fit: Randomize what the model is trained on.
        :param apply_predict: Randomize what the model predicts on, and what it is attacked on.
        :param seed: As for the class.
        :param clip: As for the class.
        :param chunk_size: As for the class.
        :param masks: As for the class.
        :raises ValueError: for an estimator without ``clip_values``: they say what range of pixels it works on.
        """
        limits: Any = getattr(estimator, "clip_values", None)
        rule = "have clip_values, which say what range of pixels it works on"
        require(limits is not None, "estimator", rule, Text(f"{type(estimator).__name__} without"))
        device = getattr(estimator, "device", None)
        return cls(
            pipeline,
            clip_values=tuple(limits),
            channels_first=bool(getattr(estimator, "channels_first", True)),
            apply_fit=apply_fit,
            apply_predict=apply_predict,
            seed=seed,
            clip=clip,
            chunk_size=chunk_size,
            device_type="gpu" if isinstance(device, torch.device) and device.type != "cpu" else "cpu",
            masks=masks,
        )
