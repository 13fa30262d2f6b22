"""The PyTorch models inside an estimator: found, frozen, and given back as they were."""

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Undo = Callable[[], None]


def inner_estimators(estimator: Any) -> list[Any]:
    """An estimator and those that it is made of."""
    inner = [getattr(estimator, name, None) for name in ("classifier", "detector", "estimator")]
    inner += list(getattr(estimator, "classifiers", None) or [])
    return [estimator] + [found for e in inner if e is not None for found in inner_estimators(e)]


def torch_models(estimator: Any) -> list[nn.Module]:
    """The PyTorch modules inside an estimator: its model, and those of the estimators it is made of."""
    models = [getattr(e, "_model", None) for e in inner_estimators(estimator)]
    return [model for model in models if isinstance(model, nn.Module)]


class Temporary:
    """Objects changed for a while, perhaps by several threads: the first one in changes, the last one out restores.

    ``change(thing)`` changes it and returns how to give it back.
    """

    def __init__(self, change: Callable[[Any], Undo]) -> None:
        self._change, self._lock = change, threading.RLock()
        self._changed: dict[int, tuple[Any, Undo, int]] = {}

    @contextmanager
    def of(self, things: Iterable[Any]) -> Iterator[None]:
        """``things`` are changed inside."""
        taken = []
        try:
            with self._lock:
                for thing in things:
                    found = self._changed.get(id(thing))
                    undo, users = (self._change(thing), 0) if found is None else found[1:]
                    self._changed[id(thing)] = (thing, undo, users + 1)
                    taken.append(thing)
            yield
        finally:
            with self._lock:
                for thing in taken:
                    _, undo, users = self._changed.pop(id(thing))
                    if users > 1:
                        self._changed[id(thing)] = (thing, undo, users - 1)
                    else:
                        undo()

    def undo_of(self, thing: Any) -> Any:
        """How to change a thing back; None if it is not changed."""
        found = self._changed.get(id(thing))
        return None if found is None else found[1]


class Frozen:
    """A parameter without a gradient; called, it gets back its flag and its gradient, and its value if it was kept."""

    def __init__(self, parameter: nn.Parameter) -> None:
        self.parameter, self.required, self.grad = parameter, parameter.requires_grad, parameter.grad
        self.value: Tensor | None = None
        parameter.requires_grad_(False)

    def thaw(self) -> bool:
        """Let the model differentiate the parameter again, and keep its value, which the model may change."""
        if self.required and not self.parameter.requires_grad:
            self.value = self.parameter.detach().clone() if self.value is None else self.value
            self.parameter.requires_grad_(True)
            return True
        return False

    def __call__(self) -> None:
        if self.value is not None:
            with torch.no_grad():
                self.parameter.copy_(self.value)
        self.parameter.requires_grad_(self.required)
        self.parameter.grad = self.grad


def keep_module(module: nn.Module) -> Undo:
    """Keep a module's own training flag and buffers.

    Evaluation mode rarely moves a buffer, but ART's own loss_gradient uses training mode for RNNs. They are small.
    """
    training = module.training
    buffers = [(name, b, b.detach().clone()) for name, b in module._buffers.items() if b is not None]

    def undo() -> None:
        module.training = training
        with torch.no_grad():
            for name, b, value in buffers:
                b.copy_(value)
                module._buffers[name] = b

    return undo


def to_channels_last(parameter: nn.Parameter) -> Undo:
    """Let a convolution's weight be channels-last; the original storage returns afterwards."""
    data = parameter.data
    # Not contiguous(): with one channel a tensor passes for both formats, and the layer for the other one.
    parameter.data = torch.empty_like(data, memory_format=torch.channels_last).copy_(data)

    def undo() -> None:
        parameter.data = data

    return undo


_MODULES, _PARAMETERS, _LAYOUTS = Temporary(keep_module), Temporary(Frozen), Temporary(to_channels_last)
# Models met before that differentiate their own parameters: not frozen again.
_SELF_DIFFERENTIATING: "weakref.WeakSet[nn.Module]" = weakref.WeakSet()


@contextmanager
def as_found(model: nn.Module) -> Iterator[None]:
    """Freeze ``model`` in evaluation mode and restore flags, buffers, gradients and ``requires_grad`` afterwards.

    Where several threads are inside, the last one out restores.
    """
    with _MODULES.of(model.modules()), _PARAMETERS.of(model.parameters()):
        model.eval()
        if model in _SELF_DIFFERENTIATING:
            thaw(model)
        yield


def thaw(model: nn.Module) -> bool:
    """Unfreeze a model that differentiates its own parameters in ``forward``, as test-time adaptation does.

    Returns whether a parameter had been frozen. Values are kept from now on and given back with the model.
    """
    frozen = [_PARAMETERS.undo_of(parameter) for parameter in model.parameters()]
    thawed = [one.thaw() for one in frozen if one is not None]
    if any(thawed):
        _SELF_DIFFERENTIATING.add(model)
    return any(thawed)


def channels_last(model: nn.Module) -> Any:
    """Let the convolution weights of ``model`` be channels-last inside."""
    return _LAYOUTS.of([p for p in model.parameters() if p.dim() == 4])


def counted_modules(estimator: Any) -> list[nn.Module]:
    """Modules of which one is called whenever an image goes through a model of the estimator; none if unknown.

    ART's wrapper and this library run the members of an ``nn.Sequential`` one by one and never call it itself: its
    first member that stands there once is called instead.
    """
    found = []
    for wrapper in torch_models(estimator):
        model = getattr(wrapper, "_model", wrapper)
        if isinstance(model, nn.Sequential):
            members = list(model._modules.values())
            model = next((member for member in members if members.count(member) == 1), None)
        if not isinstance(model, nn.Module):
            return []
        found.append(model)
    return list(dict.fromkeys(found))


@contextmanager
def left_as_found(estimator: Any) -> Iterator[None]:
    """Training flags, buffers and parameters' gradients of the estimator's models are afterwards as before."""
    undo: list[Undo] = []
    grads = []
    for model in torch_models(estimator):
        undo += [keep_module(module) for module in model.modules()]
        grads += [(parameter, parameter.grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for parameter, grad in grads:
            parameter.grad = grad
        for back in undo:
            back()
