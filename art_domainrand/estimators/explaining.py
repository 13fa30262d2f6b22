"""What is wrong with images or an estimator's outputs, said where an attack fails on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from art.estimators.classification.classifier import ClassifierMixin
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.estimators.scores import predict


@contextmanager
def explained(estimator: Any, x: Tensor) -> Iterator[None]:
    """Raise a ValueError about the images' or the outputs' shape in place of torch's own error, where that explains it.

    The shapes are looked at after the error: before, it would cost a prediction, and a random estimator a draw.
    """
    try:
        yield
    except (IndexError, RuntimeError, ValueError) as error:
        said = misshapen(estimator, x) if isinstance(estimator, ClassifierMixin) and len(x) else None
        if said is None and len(x) and not isinstance(error, ValueError):  # these are said of arguments already
            said = unfit(estimator, x)
        if said is None:
            raise
        raise ValueError(said) from error


def misshapen(estimator: Any, x: Tensor) -> str | None:
    """What rule the outputs for the first image break, None if none."""
    shape = shape_of_outputs(estimator, x[:1].cpu().numpy())
    if shape is None:  # the model itself fails, and has said why
        return None
    got, classes = f"shape {shape}", max(estimator.nb_classes, 2)
    if len(shape) > 2:
        end = "end the model in nn.Flatten()" if set(shape[2:]) == {1} else "attack a model with one row for each image"
        return f"estimator must give class scores of shape (N, {classes}), got {got} for one image; {end}"
    if len(shape) == 2 and shape[1] > 1 and shape[1] != classes:
        return f"estimator must have as many outputs as nb_classes={classes}, got {got} for one image"
    return None


def unfit(estimator: Any, x: Tensor) -> str | None:
    """What to say of images of a shape that the estimator cannot take, None if that is not why it fails."""
    wanted, features = tuple(getattr(estimator, "input_shape", None) or ()), tuple(x.shape[1:])
    if wanted == features or not wanted or not all(isinstance(size, int) for size in wanted):
        return None
    takes = [
        shape_of_outputs(estimator, one) is not None
        for one in (x[:1].cpu().numpy(), np.zeros((1, *wanted), np.float32))
    ]
    if takes != [False, True]:
        return None
    return f"x must have images of shape {wanted}, the estimator's input_shape, got {features}, which it cannot take"


def shape_of_outputs(estimator: Any, x: NDArray[np.float32]) -> tuple[int, ...] | None:
    """The shape of what the estimator says of images, None if it fails."""
    try:
        shape: tuple[int, ...] = np.shape(predict(estimator, x))
    except Exception:  # an estimator may raise anything, and who asks only wants to explain another error
        return None
    return shape
