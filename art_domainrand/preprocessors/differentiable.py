"""Defences of ART as differentiable PyTorch preprocessors (BPDA)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import numpy as np
import torch
from art.defences.preprocessor.preprocessor import Preprocessor, PreprocessorPyTorch
from torch import Tensor

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.arrays import Array, from_array
from art_domainrand.core.checks import Text, check_parameters, require
from art_domainrand.core.straight_through import wants_gradient
from art_domainrand.preprocessors.conversions import (
    host_array,
    images_in_dtype,
    join_labels,
    label_rows,
    labels_in_dtype,
)

Backward = Literal["straight_through", "defence"] | Callable[[Tensor], Tensor]


class DifferentiableDefence(PreprocessorPyTorch):
    """Run a ``defence`` of ART, mostly a NumPy-only one, inside PyTorch, with a stand-in for its gradient.

    ART chains any number of PyTorch preprocessors, but refuses a NumPy-only one among them, and its gradient stops
    there. Wrapped in this class it may stand anywhere in a chain. The forward pass is the defence's own; the backward
    pass differentiable approximation (BPDA) is the one of Athalye, Carlini and Wagner 2018, arXiv:1802.00420.

    :param defence: a NumPy preprocessor of ART, such as ``JpegCompression`` or ``FeatureSqueezing``. One in PyTorch may
        be chained as it is, and attacks follow the ``estimate_forward`` it defines; wrapped, it too is shown arrays.
    :param backward: "straight_through" takes the defence for the identity, which needs a defence that keeps the shape;
        "defence" asks its own ``estimate_gradient`` (most of ART's are the identity, ``ThermometerEncoding`` has one,
        and in PyTorch it is that of ``estimate_forward``);
        a function of images to a tensor of the shape of the defence's output is differentiated at the images in the
        defence's place.
    :param batch_size: how many images the defence sees at a time; None shows it all at once, as ART does. A defence
        that mixes images (``Mixup``, ``CutMix``) mixes within these batches, one that adds images
        (``GaussianAugmentation``) adds them behind each.
    :param apply_fit: run it on what the model is trained on; None as the defence has it.
    :param apply_predict: run it on what the model predicts on and is attacked on; None as the defence has it.
    :param device_type: where surrogate gradients of NumPy arrays are computed, "gpu" (if there is one) or "cpu".

    Images of any shape keep their dtype and device, whatever the defence computes in; integers are rounded, and half
    precision is shown to the defence as float32, which NumPy and SciPy can work with. The defence gets a copy, never
    the caller's memory. Labels are what the defence makes of them, floating ones in the dtype of those given (of the
    images, if the defence turned indices into distributions, as ``Mixup`` does). A random defence draws from where it
    always does, which for ART's is ``np.random``.

    Where a gradient is asked for, ``forward`` raises ValueError for a defence that changes the shape if ``backward`` is
    "straight_through", or the number of images. So do a surrogate of another shape or without a gradient, and an
    ``estimate_gradient`` of another shape than the images, in the backward pass.
    """

    params = ["defence", "backward", "batch_size", "apply_fit", "apply_predict", "device_type"]  # noqa: RUF012

    @suggesting_names
    def __init__(
        self,
        defence: Any,
        backward: Backward = "straight_through",
        *,
        batch_size: int | None = 128,
        apply_fit: bool | None = None,
        apply_predict: bool | None = None,
        device_type: str = "gpu",
    ) -> None:
        wrapped = isinstance(defence, Preprocessor) and not isinstance(defence, DifferentiableDefence)
        require(wrapped, "defence", "be a preprocessor of ART", Text(type(defence).__name__))
        known = callable(backward) or backward in ("straight_through", "defence")
        require(known, "backward", 'be "straight_through", "defence" or a function', backward)
        counts = isinstance(batch_size, (int, np.integer)) and not isinstance(batch_size, bool) and batch_size >= 1
        require(batch_size is None or counts, "batch_size", "be None or an int >= 1", batch_size)
        for name, flag in (("apply_fit", apply_fit), ("apply_predict", apply_predict)):
            require(flag is None or isinstance(flag, (bool, np.bool_)), name, "be None, True or False", flag)
        require(device_type in ("gpu", "cpu"), "device_type", 'be "gpu" or "cpu"', device_type)
        super().__init__(device_type=device_type)
        self.defence = defence
        self.backward = backward
        self.batch_size = None if batch_size is None else int(batch_size)
        self.device_type = device_type
        self._given_flags = {"apply_fit": apply_fit, "apply_predict": apply_predict}

    @property
    def is_fitted(self) -> bool:
        """Whether the defence is fitted."""
        return bool(self.defence.is_fitted)

    @property
    def apply_fit(self) -> bool:
        """Whether to run in training."""
        given = self._given_flags["apply_fit"]
        return bool(self.defence.apply_fit if given is None else given)

    @property
    def apply_predict(self) -> bool:
        """Whether to run in prediction."""
        given = self._given_flags["apply_predict"]
        return bool(self.defence.apply_predict if given is None else given)

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in self.params} | {"defence": _Shown(self.defence)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def set_params(self, **kwargs: Any) -> None:
        """Change constructor arguments; all are checked before any is set.

        :param kwargs: constructor arguments by name.
        :raises ValueError: for a name that is no argument.
        """
        check_parameters(kwargs, self.params)
        now = {name: getattr(self, name) for name in self.params} | self._given_flags
        self.__dict__.update(type(self)(**(now | kwargs)).__dict__)

    def fit(self, x: Array, y: Array | None = None, **kwargs: Any) -> None:
        """Fit the defence.

        :param x: images, as the defence takes them.
        :param y: labels, if the defence takes them.
        :param kwargs: what else the defence's own ``fit`` takes.
        """
        self.defence.fit(x, y, **kwargs)

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Run the defence; gradients follow ``backward``.

        :param x: images (B, ...).
        :param y: labels, or None.
        :return: images and labels as the defence makes them.
        """
        if not isinstance(x, Tensor) or x.dim() == 0:
            got = "a scalar" if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"x must be a tensor with a batch axis, got {got}")
        images, labels = self._defend(host_array(x), host_array(y) if isinstance(y, Tensor) else y)
        value = from_array(images).to(x.device, x.dtype)
        if isinstance(y, Tensor) and isinstance(labels, np.ndarray):
            labels = from_array(labels).to(y.device)
        if wants_gradient(x):
            self._check_differentiable(x.shape, value.shape)
            value = _Approximated.apply(x, value, self._pull_back)  # type: ignore[no-untyped-call]
        return value, labels

    def __call__(self, x: Array, y: Any = None) -> tuple[Array, Any]:
        """Run the defence on NumPy arrays; an array of objects goes to it as it is."""
        if not isinstance(x, np.ndarray):
            raise ValueError(f"x must be an np.ndarray, got {type(x).__name__}")
        if x.dtype == object:
            changed: tuple[Array, Any] = self.defence(x, y)
            return changed
        images, labels = self._defend(x.astype(np.float32) if x.dtype == np.float16 else x, y)
        return images.astype(x.dtype, copy=False), labels

    def estimate_gradient(self, x: Array, grad: Array) -> Array:
        """The gradient at the images, from that at the defence's output.

        :param x: images (B, ...); an array of objects goes to the defence's own estimate.
        :param grad: the gradient at the defence's output, or one for each class, (B, K, ...).
        """
        if x.dtype == object:
            own: Array = self.defence.estimate_gradient(x, grad)
            return own
        at, given = (from_array(array).to(self.device, copy=True) for array in (x, grad))
        if grad.ndim == x.ndim + 1:
            pulled = torch.stack([self._checked_pull_back(at, given[:, k]) for k in range(grad.shape[1])], 1)
        else:
            pulled = self._checked_pull_back(at, given)
        return np.asarray(pulled.cpu().numpy(), dtype=grad.dtype)

    def _defend(self, x: Array, y: Any) -> tuple[Array, Any]:
        """Images and labels as the defence returns them, batch by batch, in the dtype of ``x``."""
        images, labels = [], []
        for rows in self._batches(len(x)):
            changed, named = self.defence(x[rows].copy(), label_rows(y, rows))
            images.append(images_in_dtype(np.asarray(changed), x.dtype))
            labels.append(labels_in_dtype(named, y, x.dtype))
        return (images[0] if len(images) == 1 else np.concatenate(images)), join_labels(labels)

    def _batches(self, n: int) -> Iterator[slice]:
        size = n if self.batch_size is None else self.batch_size
        return (slice(start, start + size) for start in range(0, max(n, 1), max(size, 1)))

    def _check_differentiable(self, before: torch.Size, after: torch.Size) -> None:
        if self.backward == "straight_through" and before != after:
            raise ValueError(
                'defence must keep the shape for backward="straight_through" '
                f'(take "defence" or a differentiable surrogate), got {tuple(after)} for {tuple(before)}'
            )
        if before[0] != after[0]:
            raise ValueError(
                f"defence must keep the number of images where a gradient is asked for, got {after[0]} for {before[0]}"
            )

    def _checked_pull_back(self, x: Tensor, gradient: Tensor) -> Tensor:
        self._check_differentiable(x.shape, gradient.shape)
        return self._pull_back(x, gradient)

    def _pull_back(self, x: Tensor, gradient: Tensor) -> Tensor:
        """The gradient at ``x``, given that at the defence's output."""
        if self.backward == "straight_through":
            return gradient
        pull_back = self._own_estimate if self.backward == "defence" else self._surrogate_gradient
        return torch.cat([pull_back(x[rows], gradient[rows]) for rows in self._batches(len(x))])

    def _own_estimate(self, x: Tensor, gradient: Tensor) -> Tensor:
        with torch.enable_grad():  # a backward pass has switched it off, and an estimate may use autograd
            pulled = np.asarray(self.defence.estimate_gradient(host_array(x).copy(), host_array(gradient).copy()))
        if pulled.shape != tuple(x.shape):
            raise ValueError(
                f"estimate_gradient of {type(self.defence).__name__} must have the shape {tuple(x.shape)} of the "
                f"images, got {pulled.shape}; give a differentiable surrogate as backward instead"
            )
        return torch.from_numpy(np.ascontiguousarray(pulled)).to(x)

    def _surrogate_gradient(self, x: Tensor, gradient: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            stand_in = cast("Callable[[Tensor], Any]", self.backward)(leaf)
            shape = tuple(stand_in.shape) if isinstance(stand_in, Tensor) else type(stand_in).__name__
            if shape != tuple(gradient.shape):
                raise ValueError(f"backward must return a tensor of shape {tuple(gradient.shape)}, got {shape}")
            pulled = None
            if stand_in.requires_grad:
                (pulled,) = torch.autograd.grad(stand_in, leaf, gradient.to(stand_in.dtype), allow_unused=True)
        if pulled is None:
            raise ValueError("backward must be differentiable in the images, got a result that carries no gradient")
        return pulled


class _Approximated(torch.autograd.Function):
    """``value``, bit for bit, with the gradient that ``pull_back`` takes to ``x``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, pull_back: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.pull_back = pull_back
        return value.view_as(value)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return ctx.pull_back(x, gradient), None, None


class _Shown:
    """A defence shown with its parameters, which ART's do not show by themselves."""

    def __init__(self, defence: Any) -> None:
        self.defence = defence

    def __repr__(self) -> str:
        if vars(object)["__repr__"] != type(self.defence).__repr__:
            return repr(self.defence)
        known = {name: getattr(self.defence, name) for name in self.defence.params if hasattr(self.defence, name)}
        return f"{type(self.defence).__name__}({', '.join(f'{name}={value!r}' for name, value in known.items())})"
