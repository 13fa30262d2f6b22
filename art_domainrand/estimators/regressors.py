"""Loss gradients of PyTorch regressors, whose targets fit the outputs."""

from typing import Any

from art_domainrand.estimators.arrays import ArrayGradients
from art_domainrand.estimators.each_loss import flat_targets
from art_domainrand.estimators.protocol import Labels


class RegressorGradients(ArrayGradients):
    """Loss gradients of a PyTorchRegressor, each output compared with its own target.

    ART compares outputs (N,) with targets (N, 1) as they are; torch broadcasts both to (N, N), so that every output is
    drawn to the targets of all, and the signs of the gradient are those of another loss.
    """

    def labels(self, y: Any) -> Labels:
        """The targets in one row, as ART flattens the outputs, in its float type."""
        return flat_targets(super().labels(y))
