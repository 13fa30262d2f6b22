"""What ``PyTorchClassifier.fit`` does to a batch, step by step, with tensors that are on the device already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor

from art_domainrand.core.arrays import from_array
from art_domainrand.estimators.outputs import Adapted
from art_domainrand.estimators.preprocessing import Preprocess, preprocessing_chain


def trains_as_pytorch_classifier(classifier: Any) -> bool:
    """Whether the classifier's ``fit`` is ART's for PyTorch, and no other that adds to it."""
    return getattr(type(classifier), "fit", None) is PyTorchClassifier.fit and "fit" not in vars(classifier)


def training_preprocessing(classifier: PyTorchClassifier) -> Preprocess:
    """The classifier's preprocessing for training, on tensors; through arrays where a defence knows nothing else."""
    if classifier.all_framework_preprocessing:
        return preprocessing_chain(classifier, fit=True)

    def through_arrays(x: Tensor, y: Any) -> tuple[Tensor, Any]:
        changed, labels = classifier._apply_preprocessing(x.cpu().numpy(), y.cpu().numpy(), fit=True)
        return from_array(changed).to(x), from_array(labels).to(y.device)

    return through_arrays


def adapted_scores(classifier: PyTorchClassifier, model: Callable[[Tensor], Any]) -> Callable[[Tensor], Tensor]:
    """``model``, which stands for the classifier's own, as a function from images to class scores in float32."""
    return Adapted(model, classifier._model, classifier.nb_classes)


def training_loss(classifier: PyTorchClassifier, outputs: Any, y: Tensor) -> Tensor:
    """The classifier's own loss.

    :param outputs: what the model returns.
    :param y: labels (B, K), one-hot or soft, which the classifier reduces to what its loss takes. ART loses a column of
        float labels where they are tensors rather than arrays; here it is kept.
    """
    reduced: Tensor = classifier.reduce_labels(y)
    column = reduced.dim() < y.dim() and reduced.is_floating_point()
    loss: Tensor = classifier._loss(outputs, reduced[:, None] if column else reduced)
    return loss


def loss_reduction(classifier: PyTorchClassifier) -> str:
    """How the classifier's loss reduces a batch, "mean" where it does not say."""
    return str(getattr(classifier._loss, "reduction", "mean"))


def backward(classifier: PyTorchClassifier, loss: Tensor) -> None:
    """The gradients of a loss, scaled by apex where the classifier uses its mixed precision."""
    if not classifier._use_amp:
        torch.autograd.backward(loss)
        return
    from apex import amp  # type: ignore[import-not-found]

    with amp.scale_loss(loss, classifier.optimizer) as scaled_loss:
        scaled_loss.backward()
