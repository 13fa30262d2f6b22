"""Loss gradients of PyTorch object detectors, mapped back through their preprocessing."""

import torch
from torch import Tensor

from art_domainrand.estimators.arrays import ArrayGradients
from art_domainrand.estimators.protocol import Labels


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
