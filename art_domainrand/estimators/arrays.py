"""Loss gradients of any ART estimator through its public NumPy interface; and of PyTorch's detectors and regressors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from art.config import ART_NUMPY_DTYPE
from torch import Tensor

from art_domainrand.estimators.each_loss import flat_targets
from art_domainrand.estimators.kinds import check_class_gradients
from art_domainrand.estimators.protocol import Evaluated, Labels, Objective, Through
from art_domainrand.estimators.scores import class_scores, predict


class ArrayGradients:
    """Loss gradients and class scores of any ART estimator through its NumPy interface."""

    device = torch.device("cpu")
    random_preprocessors: Sequence[Any] = ()
    summed = False
    cross_entropy = False
    as_predicted = True

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def labels(self, y: Any) -> Labels:
        """Labels as ART takes them: an array, or a detector's list of dicts untouched."""
        return y.detach().cpu().numpy() if isinstance(y, Tensor) else y

    def gradient(self, x: Tensor, y: Labels, sign: int) -> Tensor:
        """Return ``sign`` times ``estimator.loss_gradient``."""
        with torch.enable_grad():
            grad = self.estimator.loss_gradient(x.numpy().copy(), y)
        return torch.from_numpy(np.array(grad, dtype=ART_NUMPY_DTYPE)).mul_(sign)

    def evaluate(
        self,
        x: Tensor,
        y: Labels,
        sign: int,
        objective: Objective | None = None,
        draws: Sequence[Any] = (),
        through: Through | None = None,
    ) -> Evaluated:
        """Scores, values and gradient; an objective's gradient is that of every class, weighted by the chain rule."""
        if through is None:
            return self._evaluate(x, y, sign, objective)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            images = through(leaf, slice(0, len(x)))
        found = self._evaluate(images.detach(), y, sign, objective)
        (gradient,) = torch.autograd.grad(images, leaf, found.gradient)
        return Evaluated(found.scores, found.values, gradient)

    def _evaluate(self, x: Tensor, y: Labels, sign: int, objective: Objective | None) -> Evaluated:
        scores = self.scores(x).float()
        if objective is None:
            return Evaluated(scores, None, self.gradient(x, y, sign))
        check_class_gradients(self.estimator)
        with torch.enable_grad():
            leaf = scores.detach().requires_grad_()
            values = objective(leaf, slice(0, len(x)))
            (weights,) = torch.autograd.grad(values.sum(), leaf)
            of_classes = torch.from_numpy(np.array(self.estimator.class_gradient(x.numpy().copy()), ART_NUMPY_DTYPE))
        if of_classes.shape[1] != weights.shape[1]:
            raise ValueError(
                "estimator must have as many class gradients as classes for a loss on the class scores, got "
                f"{of_classes.shape[1]} gradients and {weights.shape[1]} classes"
            )
        weights = weights.reshape(*weights.shape, *[1] * (x.dim() - 1))
        return Evaluated(scores, values.detach(), (of_classes * weights).sum(1))

    def scores(self, x: Tensor, draws: Sequence[Any] = ()) -> Tensor:
        """Class scores from ``estimator.predict``."""
        scores = torch.as_tensor(predict(self.estimator, x.numpy().copy()))
        return class_scores(scores, len(x), getattr(self.estimator, "_loss", None))


class DetectorGradients(ArrayGradients):
    """Loss gradients of a detector with PyTorch preprocessing, with respect to the images as they are given.

    ART's ``loss_gradient`` stops at the preprocessed images: behind a threefold contrast it is a third of the gradient,
    behind a rotation it is that of other pixels. Here the same loss is differentiated through the preprocessing, by
    the very draw that moved the boxes.
    """

    def gradient(self, x: Tensor, y: Labels, sign: int) -> Tensor:
        """Return ``sign`` times the gradient of the sum of the detector's ``attack_losses``."""
        leaf = x.detach().clone().requires_grad_()
        with torch.enable_grad():
            (grad,) = torch.autograd.grad(self.estimator.compute_loss(leaf, y), leaf)
        return sign * grad


class RegressorGradients(ArrayGradients):
    """Loss gradients of a PyTorchRegressor, each output compared with its own target.

    ART compares outputs (N,) with targets (N, 1) as they are; torch broadcasts both to (N, N), so that every output is
    drawn to the targets of all, and the signs of the gradient are those of another loss.
    """

    def labels(self, y: Any) -> Labels:
        """The targets in one row, as ART flattens the outputs, in its float type."""
        return flat_targets(super().labels(y))
