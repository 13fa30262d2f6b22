"""Which estimators and labels the trainer can train on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor
from torch.utils.data.distributed import DistributedSampler

from art_domainrand.core.checks import Text, check_layout, class_targets, images, require
from art_domainrand.core.pixels import ClipRange
from art_domainrand.estimators.training import loss_reduction, trains_as_pytorch_classifier
from art_domainrand.training.data.sources import Source
from art_domainrand.training.learned.settings import MetaRanges, RangeSettings


def check_trainable(classifier: PyTorchClassifier) -> None:
    """ValueError for a classifier that cannot be trained on the device, or whose loss is no mean."""
    own = "train as PyTorchClassifier does (fit_randomized goes through the fit that others have)"
    require(trains_as_pytorch_classifier(classifier), "classifier", own, Text(type(classifier).__name__))
    others = [
        type(operation).__name__
        for operation in classifier.preprocessing_operations
        if not isinstance(operation, PreprocessorPyTorch)
    ]
    rule = "have preprocessing in PyTorch only: wrap a NumPy defence, DifferentiableDefence(defence)"
    require(not others, "classifier", rule, Text(", ".join(others)))
    reduction = loss_reduction(classifier)
    require(reduction != "sum", "classifier", "have a loss that is a mean over the batch", Text(f"{reduction=}"))


def class_indices(y: Any, n: int, nb_classes: int) -> Tensor:
    """Class indices (n,) int64 of labels in any of ART's forms.

    :raises ValueError: for labels that are not one class each, which would be rounded.
    """
    targets = class_targets(y, n, nb_classes).cpu()
    if targets.dim() == 1:
        return targets
    soft = (targets.amax(1) < 1).nonzero().flatten()
    require(not len(soft), "y", "hold class indices or one-hot rows", Text(f"{targets[soft[:1]].flatten().tolist()}"))
    return targets.argmax(1)


def judged_on(settings: RangeSettings | None, classifier: PyTorchClassifier) -> RangeSettings | None:
    """The ``settings`` with a validation domain, if they have one, in the classifier's form: float32, class indices.

    :raises ValueError: naming the validation domain, for images or labels that the classifier does not take.
    """
    if not isinstance(settings, MetaRanges) or settings.validation_domain is None:
        return settings
    try:
        x = images(settings.validation_domain[0], np.float32)
        check_layout(x, classifier)
        shape = tuple(classifier.input_shape)
        require(x.shape[1:] == shape, "x", f"have images of shape {shape}", Text(f"{tuple(x.shape[1:])}"))
        if classifier.clip_values is not None:
            ClipRange(classifier.clip_values).check(x)
        y = class_indices(settings.validation_domain[1], len(x), classifier.nb_classes)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_domain: {error}") from None
    return replace(settings, validation_domain=(x, y))


def check_distributable(source: Source) -> None:
    """ValueError for a sampler that gives each process another part of the data: the trainer divides every batch."""
    rule = "have no DistributedSampler: every process has its part of each batch already"
    sampler = Text("one with it")
    require(not isinstance(source.own_order, DistributedSampler), "x", rule, sampler)
