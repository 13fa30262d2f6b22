"""What is wrong with an estimator's outputs, said where an attack fails on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from art.estimators.classification.classifier import ClassifierMixin
from torch import Tensor

from art_domainrand.estimators.scores import predict


@contextmanager
def explained(estimator: Any, x: Tensor) -> Iterator[None]:
    """Raise a ValueError about the outputs' shape in place of torch's own error, where that shape explains it.

    The shape is looked at after the error: before, it would cost a prediction, and a random estimator a draw.
    """
    try:
        yield
    except (IndexError, RuntimeError, ValueError) as error:
        said = misshapen(estimator, x) if isinstance(estimator, ClassifierMixin) and len(x) else None
        if said is None:
            raise
        raise ValueError(said) from error


def misshapen(estimator: Any, x: Tensor) -> str | None:
    """What rule the outputs for the first image break, None if none."""
    try:
        shape = np.shape(predict(estimator, x[:1].cpu().numpy()))
    except Exception:  # the model itself fails, and has said why
        return None
    got, classes = f"shape {shape}", max(estimator.nb_classes, 2)
    if len(shape) > 2:
        end = "end the model in nn.Flatten()" if set(shape[2:]) == {1} else "attack a model with one row for each image"
        return f"estimator must give class scores of shape (N, {classes}), got {got} for one image; {end}"
    if len(shape) == 2 and shape[1] > 1 and shape[1] != classes:
        return f"estimator must have as many outputs as nb_classes={classes}, got {got} for one image"
    return None
