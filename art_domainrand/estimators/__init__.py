"""The loss gradient of an ART estimator, on its device, and the estimator given back as it was found.

:func:`open_estimator` opens one of two views of an estimator:

- :class:`DeviceGradients` for ``PyTorchClassifier`` and its subclasses whose preprocessing is PyTorch throughout. The
  loss gradient is the one ART computes, taken with respect to the input alone: parameters are frozen meanwhile, their
  ``.grad`` is never written, and nothing leaves the device.
- :class:`ArrayGradients` for every other estimator, through its public ``loss_gradient`` and ``predict`` on NumPy
  arrays.
"""

from art_domainrand.estimators.compiling import Compiler
from art_domainrand.estimators.each_loss import loss_of_each
from art_domainrand.estimators.kinds import check_class_gradients, is_device_estimator
from art_domainrand.estimators.opening import open_estimator
from art_domainrand.estimators.protocol import Evaluated, Gradients, Labels, Objective, Through
from art_domainrand.estimators.scores import predict

__all__ = [
    "Compiler",
    "Evaluated",
    "Gradients",
    "Labels",
    "Objective",
    "Through",
    "check_class_gradients",
    "is_device_estimator",
    "loss_of_each",
    "open_estimator",
    "predict",
]
