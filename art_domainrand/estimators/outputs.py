"""What a model takes and returns: images in its own type, and class scores found in what comes out."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from art.estimators.classification.hugging_face import HuggingFaceClassifierPyTorch
from art.estimators.classification.pytorch import PyTorchClassifier
from art.estimators.regression.pytorch import PyTorchRegressor
from torch import Tensor, nn

from art_domainrand.core.memory import is_out_of_memory
from art_domainrand.estimators.state import Temporary, inner_estimators, thaw

# Wrappers that return a list of layer outputs, the model's own output last.
_LISTING = tuple(
    kind._make_model_wrapper for kind in (PyTorchClassifier, HuggingFaceClassifierPyTorch, PyTorchRegressor)
)


class Adapted:
    """A ``forward`` pass on images in float32, run in the type of ``model``, with class scores in float32.

    Where the model differentiates its own parameters in it, as test-time adaptation does, they are unfrozen.
    ``classes`` is how many scores an image has, as far as is known.
    """

    def __init__(self, forward: Callable[..., Any], model: nn.Module, classes: int | None) -> None:
        self.forward, self.model, self.classes = forward, model, classes
        self.dtype = own_type(model)
        self.casts = self.watched = False

    def __call__(self, x: Tensor) -> Tensor:
        return class_outputs(self.run(x), len(x), self.classes)

    def run(self, x: Tensor) -> Any:
        """What the model returns for ``x``.

        ``x`` is cast once the model has turned out not to cast by itself, and the model runs a second time where it
        turns out to differentiate its own parameters.
        """
        x = x.to(self.dtype) if self.casts else x
        watches = self.watch(x)
        try:
            found = self.forward(x)
        except Exception as error:
            again = self.remedy(error, x, watches)
            if again is None:
                raise
        else:
            if not watches or x.grad is None:
                return found
            x.grad = None  # what a backward pass inside the model has left there is none of ours
            if not thaw(self.model):
                return found
            again = x
        # Outside the handler, where the traceback no longer holds on to tensors.
        found = self.run(again)
        self.casts |= again.dtype != x.dtype
        return found

    def watch(self, x: Tensor) -> bool:
        """Whether a backward pass inside the model would show, in the gradient of ``x``."""
        if x.requires_grad and not (x.is_leaf or self.watched):
            x.retain_grad()
        self.watched = True
        return x.requires_grad and (x.is_leaf or x.retains_grad) and x.grad is None

    def remedy(self, error: Exception, x: Tensor, watches: bool) -> Tensor | None:
        """The images to try again after an ``error``, with the cause gone if it is a known one; None if not."""
        if isinstance(error, RuntimeError) and "does not require grad" in str(error) and thaw(self.model):
            return x
        # An optimizer or an update of the model's own has met a missing gradient.
        if watches and x.grad is not None and thaw(self.model):
            x.grad = None
            return x
        foreign = isinstance(error, RuntimeError) and not is_out_of_memory(error) and x.is_floating_point()
        return x.to(self.dtype) if foreign and x.dtype != self.dtype else None


def own_type(model: nn.Module) -> torch.dtype:
    """The floating type of the first parameter or buffer that has one; float32 without."""
    tensors = (t for source in (model.parameters(), model.buffers()) for t in source)
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)


def class_outputs(outputs: Any, n: int, classes: int | None) -> Tensor:
    """The scores among what a model returned for ``n`` images, in float32: (n, K), or (n,) from one output unit."""
    found = scores_among(outputs, n, classes)
    if found.is_quantized:
        found = found.dequantize()
    if n == 1 and found.dim() < 2:  # squeezed, with its batch axis
        found = found.reshape(1) if found.numel() == 1 else found.unsqueeze(0)
    return found.float()


def scores_among(outputs: Any, n: int, classes: int | None) -> Tensor:
    """The one tensor among ``outputs`` that can be meant: the only one, "logits", or the only one of shape (n, K)."""
    if isinstance(outputs, Tensor):
        return outputs
    named = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if isinstance(named, Tensor):
        return named
    parts = parts_of(outputs)
    tensors = [part for part in parts if isinstance(part, Tensor)]
    fitting = tensors if len(parts) == 1 else [t for t in tensors if classes and tuple(t.shape) == (n, classes)]
    if len(fitting) != 1:
        shapes = ", ".join(f"{tuple(t.shape)}" for t in tensors)
        raise TypeError(
            "the estimator's model must return class scores (B, K): alone, named logits or as the only tensor "
            f"of that shape, got {type(outputs).__name__}{f' with shapes {shapes}' if tensors else ''}"
        )
    return fitting[0]


def parts_of(outputs: Any) -> list[Any]:
    """What a container holds; nothing for anything else."""
    if isinstance(outputs, Mapping):
        return list(outputs.values())
    if isinstance(outputs, (tuple, list)):
        return list(outputs)
    return [getattr(outputs, f.name) for f in fields(outputs)] if is_dataclass(outputs) else []


def _adapt(estimator: Any) -> Callable[[], None]:
    """Let ART's wrapper around the model of ``estimator`` take float32 and list a tensor of scores last."""
    wrapper = estimator._model
    adapted = Adapted(wrapper.forward, wrapper, getattr(estimator, "nb_classes", None))
    own = vars(wrapper).get("forward")

    def forward(x: Tensor) -> list[Any]:
        layers = adapted.run(x)
        return [*layers[:-1], class_outputs(layers[-1], len(x), adapted.classes)]

    wrapper.forward = forward

    def undo() -> None:
        if own is None:
            del wrapper.forward
        else:
            wrapper.forward = own

    return undo


_ADAPTED = Temporary(_adapt)


@contextmanager
def adapted(estimator: Any) -> Iterator[None]:
    """Inside, ART's own methods too run models of any floating type and find the scores in what they return."""
    found = [e for e in inner_estimators(estimator) if isinstance(getattr(e, "_model", None), nn.Module)]
    with _ADAPTED.of(e for e in found if getattr(type(e), "_make_model_wrapper", None) in _LISTING):
        yield
