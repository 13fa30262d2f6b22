"""The loss gradient of an ART estimator, on its device, and the estimator given back as it was found.

:func:`borrow` opens one of two views of an estimator:

- :class:`DeviceGradients` for ``PyTorchClassifier`` and its subclasses whose preprocessing is PyTorch throughout. The
  loss gradient is the one ART computes, taken with respect to the input alone: parameters are frozen meanwhile, their
  ``.grad`` is never written, and nothing leaves the device.
- :class:`ArrayGradients` for every other estimator, through its public ``loss_gradient`` and ``predict`` on NumPy
  arrays.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from art.config import ART_NUMPY_DTYPE
from art.estimators.certification.randomized_smoothing.pytorch import PyTorchRandomizedSmoothing
from art.estimators.certification.randomized_smoothing.randomized_smoothing import RandomizedSmoothingMixin
from art.estimators.classification.pytorch import PyTorchClassifier
from art.estimators.pytorch import PyTorchEstimator
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from art.preprocessing.standardisation_mean_std.utils import broadcastable_mean_std
from torch import Tensor, nn

from art_domainrand.state import as_found, channels_last, torch_models

Labels = Any  # a tensor or array of one-hot or soft labels; for detectors a list of dicts
Preprocess = Callable[[Tensor, Any], tuple[Tensor, Any]]

# Seeds the backward pass of float16 models, whose small gradients would flush to zero; divided out again in float32.
HALF_PRECISION_SCALE = 2.0**10


class Gradients(Protocol):
    """What an attack needs of an estimator."""

    device: torch.device

    def labels(self, y: Any) -> Labels:
        """Bring a batch of labels into the form that ``gradient`` takes, once per batch."""

    def gradient(self, x: Tensor, y: Labels, sign: int) -> Tensor:
        """Return ``sign`` times the gradient of the loss at ``x`` (B, ...), a fresh tensor of its shape."""

    def scores(self, x: Tensor) -> Tensor:
        """Class scores (B, K), K >= 2, whose argmax is the estimator's prediction."""


# Classes whose loss gradient is the plain one of model and loss; smoothing averages only when asked to.
PLAIN_LOSS_GRADIENTS = (PyTorchClassifier.loss_gradient, PyTorchRandomizedSmoothing.loss_gradient)


def is_device_estimator(estimator: Any) -> bool:
    """Whether the loss gradient can be computed on the device.

    True for a PyTorchClassifier with PyTorch preprocessing only, unless it defines a loss gradient of its own.
    """
    if not isinstance(estimator, PyTorchClassifier) or "loss_gradient" in vars(estimator):
        return False
    return type(estimator).loss_gradient in PLAIN_LOSS_GRADIENTS and bool(estimator.all_framework_preprocessing)


@contextmanager
def borrow(
    estimator: Any, memory_format: str | None = None, autocast: torch.dtype | None = None
) -> Iterator[Gradients]:
    """Open an estimator for an attack and give it back as found, also after an exception.

    Kept: the training flag of every module, all buffers, ``p.grad``, ``p.requires_grad``, the storage and memory format
    of every parameter. Inside, models are in evaluation mode.
    """
    with ExitStack() as stack:
        for model in torch_models(estimator):
            stack.enter_context(as_found(model))
        if not is_device_estimator(estimator):
            yield ArrayGradients(estimator)
            return
        if memory_format == "channels_last":
            stack.enter_context(channels_last(estimator._model))
        if estimator.is_rnn and estimator.device.type == "cuda":
            # cuDNN refuses the backward pass of an RNN in evaluation mode; ART switches to training mode and with it
            # turns on the RNN's own dropout. The native kernels differentiate the very function that predicts.
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))  # type: ignore[no-untyped-call]
        yield DeviceGradients(estimator, memory_format, autocast)


class DeviceGradients:
    """Loss gradients and class scores of a PyTorchClassifier without leaving its device."""

    def __init__(self, estimator: Any, memory_format: str | None, autocast: torch.dtype | None) -> None:
        self.estimator = estimator
        self.device: torch.device = estimator.device
        self.channels_last = memory_format == "channels_last"
        self.autocast = autocast
        self.scale = HALF_PRECISION_SCALE if autocast == torch.float16 else 1.0
        self.preprocess = preprocessing_chain(estimator)
        self.forward = model_forward(estimator)
        self.spares_input = True

    def labels(self, y: Any) -> Labels:
        """Move labels to the device and reduce them to the form the loss takes; that reads values, so only once."""
        y = torch.as_tensor(y, device=self.device)
        return y, self.estimator.reduce_labels(y)

    def gradient(self, x: Tensor, y: Labels, sign: int) -> Tensor:
        """Return ``sign`` times the gradient of the estimator's loss with respect to ``x``, in the type of ``x``."""
        full, reduced = y
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            inputs, labels = self.preprocess(leaf, full)
            labels = reduced if labels is full else self.estimator.reduce_labels(labels)
            loss = self.loss(self.outputs_of_leaf(leaf) if inputs is leaf else self.outputs(inputs), labels)
        if not loss.requires_grad:
            raise ValueError(
                "estimator must be differentiable in x, but its loss does not depend on x through autograd"
            )
        seed = torch.full_like(loss, sign * self.scale)
        (grad,) = torch.autograd.grad(loss, leaf, seed)
        return grad if self.scale == 1 else grad / self.scale

    def outputs_of_leaf(self, leaf: Tensor) -> Tensor:
        """Run the model on the leaf itself, or on a copy once it turned out to write to its input."""
        if self.spares_input:
            try:
                return self.outputs(leaf)
            except RuntimeError as error:
                if "in-place" not in str(error):
                    raise
                self.spares_input = False
        return self.outputs(leaf.clone())

    def outputs(self, inputs: Tensor) -> Tensor:
        """Run the model on preprocessed inputs, in mixed precision if asked, and return its last output in float32."""
        if self.channels_last and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        if self.autocast is None:
            return require_tensor(self.forward(inputs))
        with torch.autocast(self.device.type, dtype=self.autocast):
            return require_tensor(self.forward(inputs)).float()

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Compute the estimator's loss as a scalar."""
        if outputs.dim() == 2 and outputs.shape[1] == 1 and labels.dim() == 1 and labels.is_floating_point():
            labels = labels.unsqueeze(1)  # one output unit: ART's own tensor path drops this axis
        elif outputs.dim() == 2 and outputs.shape[1] == 1 and labels.dim() == 2 and labels.shape[1] > 1:
            raise one_output_error(outputs, self.estimator._loss)
        loss: Tensor = self.estimator._loss(outputs, labels)
        return loss if loss.dim() == 0 else loss.sum()

    def scores(self, x: Tensor) -> Tensor:
        """Class scores in full precision; a model with one output unit is read as two classes."""
        if type(self.estimator).predict is not PyTorchClassifier.predict or self.estimator.postprocessing_defences:
            scores = torch.as_tensor(predict(self.estimator, x.cpu().numpy()), device=self.device)
        else:
            with torch.no_grad():
                inputs, _ = self.preprocess(x, None)
                scores = require_tensor(self.forward(x.clone() if inputs is x else inputs))
        return class_scores(scores, len(x), self.estimator._loss)


class ArrayGradients:
    """Loss gradients and class scores of any ART estimator through its NumPy interface."""

    device = torch.device("cpu")

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

    def scores(self, x: Tensor) -> Tensor:
        """Class scores from ``estimator.predict``."""
        scores = torch.as_tensor(predict(self.estimator, x.numpy().copy()))
        return class_scores(scores, len(x), getattr(self.estimator, "_loss", None))


def predict(estimator: Any, x: np.ndarray[Any, Any], **kwargs: Any) -> Any:
    """Call ``estimator.predict`` and hide the one draw that its DataLoader takes from the global torch generator.

    A randomized-smoothing estimator draws its noise there too; hiding that would hand later predictions the same noise.
    """
    if isinstance(estimator, RandomizedSmoothingMixin):
        return estimator.predict(x, **kwargs)
    state = torch.get_rng_state()
    try:
        return estimator.predict(x, **kwargs)
    finally:
        torch.set_rng_state(state)


def class_scores(scores: Tensor, n: int, loss: Any) -> Tensor:
    """Scores of ``n`` images as (n, K >= 2): the single output unit of a binary classifier is read as two classes."""
    if len(scores) != n:
        raise ValueError(
            f"estimator must predict one row for each image, got {len(scores)} rows for {n}; where its preprocessing "
            "repeats images (EoT), pass y and use neither restarts nor minimal"
        )
    if scores.dim() == 2 and scores.shape[1] > 1:
        return scores
    if isinstance(loss, nn.BCELoss):
        scores = scores - 0.5
    elif not isinstance(loss, nn.BCEWithLogitsLoss):
        raise one_output_error(scores, loss)
    scores = scores.reshape(len(scores), 1)
    return torch.cat([torch.zeros_like(scores), scores], dim=1)


def one_output_error(outputs: Tensor, loss: Any) -> ValueError:
    """The error for one output unit whose meaning the loss does not tell."""
    return ValueError(
        "estimator must have two outputs, or one output and BCELoss or BCEWithLogitsLoss to say how to read it, "
        f"got output shape {tuple(outputs.shape)} and loss {type(loss).__name__}"
    )


def require_tensor(outputs: Any) -> Tensor:
    """Raise TypeError unless the model returned a tensor."""
    if not isinstance(outputs, Tensor):
        raise TypeError(f"the estimator's model must return a tensor, got {type(outputs).__name__}")
    return outputs


def model_forward(estimator: Any) -> Callable[[Tensor], Any]:
    """The function from preprocessed inputs to the model's last output, as ART computes it.

    ART's wrapper runs the members of an ``nn.Sequential`` one by one and keeps the output of every one alive; here only
    the last is kept.
    """
    if type(estimator)._make_model_wrapper is not PyTorchClassifier._make_model_wrapper:
        return lambda inputs: estimator._model(inputs)[-1]
    if not isinstance(estimator.model, nn.Sequential):
        model: Callable[[Tensor], Any] = estimator.model
        return model

    def in_turn(inputs: Tensor) -> Any:
        for module in estimator.model._modules.values():
            inputs = module(inputs)
        return inputs

    return in_turn


def preprocessing_chain(estimator: Any) -> Preprocess:
    """The estimator's preprocessing for prediction as one function on tensors, with constants already on the device.

    ART's default ``preprocessing=(0, 1)`` subtracts 0 and divides by 1, a pass over the batch in each direction that is
    left out; any other mean and standard deviation are copied to the device once instead of at every call.
    """
    if type(estimator)._apply_preprocessing is not PyTorchEstimator._apply_preprocessing:
        return lambda x, y: estimator._apply_preprocessing(x, y=y, fit=False, no_grad=False)
    operations = [op for op in estimator.preprocessing_operations if op.apply_predict]
    steps = [s for s in (preprocessing_step(op, estimator.device) for op in operations) if s is not None]

    def chain(x: Tensor, y: Any) -> tuple[Tensor, Any]:
        for step in steps:
            x, y = step(x, y)
        return x, y

    return chain


def preprocessing_step(operation: Any, device: torch.device) -> Preprocess | None:
    """One preprocessing operation on tensors, None where it is the identity."""
    if type(operation) is not StandardisationMeanStdPyTorch:
        step: Preprocess = operation.forward
        return step
    if np.all(operation.mean == 0) and np.all(operation.std == 1):
        return None
    constants: dict[torch.Size, tuple[Tensor, Tensor]] = {}

    def standardise(x: Tensor, y: Any) -> tuple[Tensor, Any]:
        shape = x.shape[1:]
        if shape not in constants:
            pair = broadcastable_mean_std(x, operation.mean, operation.std)
            constants[shape] = (
                torch.as_tensor(pair[0], dtype=torch.float32, device=device),
                torch.as_tensor(pair[1], dtype=torch.float32, device=device),
            )
        mean, std = constants[shape]
        return (x - mean) / std, y

    return standardise
