"""What kind an estimator is: which of its gradients are known to us, and so can be taken on the device."""

from typing import Any

from art.estimators.certification.randomized_smoothing.pytorch import PyTorchRandomizedSmoothing
from art.estimators.classification.classifier import ClassGradientsMixin
from art.estimators.classification.pytorch import PyTorchClassifier
from art.estimators.object_detection.pytorch_object_detector import PyTorchObjectDetector
from art.estimators.regression.pytorch import PyTorchRegressor
from torch import nn

# Classes whose loss gradient is the plain one of model and loss; smoothing averages only when asked to.
PLAIN_LOSS_GRADIENTS = (PyTorchClassifier.loss_gradient, PyTorchRandomizedSmoothing.loss_gradient)
# What of ART a detector must have kept for its loss to be the one that we differentiate.
_ARTS_OWN = ("loss_gradient", "compute_loss", "_get_losses")


def is_device_estimator(estimator: Any) -> bool:
    """Whether the loss gradient can be computed on the device.

    True for a PyTorchClassifier with PyTorch preprocessing only, unless it defines a loss gradient of its own.
    """
    if not isinstance(estimator, PyTorchClassifier) or "loss_gradient" in vars(estimator):
        return False
    return type(estimator).loss_gradient in PLAIN_LOSS_GRADIENTS and bool(estimator.all_framework_preprocessing)


def plain_cross_entropy(loss: Any) -> bool:
    """Whether a loss is torch's cross-entropy, without weights or smoothing."""
    return type(loss) is nn.CrossEntropyLoss and loss.weight is None and loss.label_smoothing == 0


def is_framework_detector(estimator: Any) -> bool:
    """Whether ART's own loss of this detector can be differentiated from the images on.

    True for a PyTorchObjectDetector with PyTorch preprocessing only, unless it defines a loss or gradient of its own.
    """
    if not isinstance(estimator, PyTorchObjectDetector) or not estimator.all_framework_preprocessing:
        return False
    return all(
        name not in vars(estimator) and getattr(type(estimator), name) is getattr(PyTorchObjectDetector, name)
        for name in _ARTS_OWN
    )


def is_framework_regressor(estimator: Any) -> bool:
    """Whether this is a PyTorchRegressor with ART's own loss, which flattens the outputs and not the targets."""
    own = PyTorchRegressor.loss_gradient
    return isinstance(estimator, PyTorchRegressor) and type(estimator).loss_gradient is own


def check_class_gradients(estimator: Any) -> None:
    """Raise ValueError for an estimator that tells the gradient of its own loss only."""
    if not isinstance(estimator, ClassGradientsMixin):
        name = type(estimator).__name__
        raise ValueError(
            f"estimator must have class gradients for a loss on the class scores, got {name}; FGSM, PGD and "
            "AutoPGD without a loss take the gradient of its own"
        )
