"""Checks of an attack's parameters and inputs. Every error names the argument, the rule and the value."""

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.arguments import Text as Text
from art_domainrand.core.arguments import nearest
from art_domainrand.core.arguments import require as require
from art_domainrand.core.arrays import Array as Array
from art_domainrand.core.pixels import TOLERANCE as TOLERANCE
from art_domainrand.core.pixels import bounds_of_features, outside

# How far the sum of a soft label may be from one; float16 labels round in the third digit.
LABEL_SUM_SLACK = 1e-2


class WrongTypeError(TypeError, ValueError):
    """A parameter of the wrong type: of ART's attacks some raise TypeError, and some ValueError."""


def norm_order(norm: Any, rule: str = 'be "inf", np.inf or a real p >= 1') -> float:
    """Return the norm as a float; "inf", ``np.inf`` or a real p >= 1 (ValueError otherwise, which states ``rule``)."""
    try:
        order = float("nan") if isinstance(norm, bool) else float(norm)
    except (TypeError, ValueError):
        order = float("nan")
    named = norm == "inf" or not isinstance(norm, str)
    advice = (
        "; a radius goes to eps=, which comes after norm. (ART's SmoothAdv writes its epsilon here: give it epsilon=2 "
        "or np.inf, warmup=1, and the attack its eps)"
    )
    got = Text(f"{norm!r}{advice}") if 0 < order < 1 else norm
    require(order >= 1 and named, "norm", rule, got)
    return order


def check_budget(norm: Any, eps: Any, eps_step: Any) -> None:
    """Check the ball: norm order, eps >= 0 and eps_step > 0, both numbers or both arrays of one shape."""
    norm_order(norm)
    numbers = isinstance(eps, Real) and isinstance(eps_step, Real)
    arrays = all(isinstance(v, np.ndarray) and v.dtype.kind in "biuf" for v in (eps, eps_step))
    kinds = Text(f"{type(eps).__name__} and {type(eps_step).__name__}")
    rule = "both be numbers or both be np.ndarray of numbers"
    require(numbers or arrays, "eps and eps_step", rule, kinds, WrongTypeError)
    if arrays:
        shapes = Text(f"{eps.shape} and {eps_step.shape}")
        require(eps.shape == eps_step.shape, "eps and eps_step", "have the same shape", shapes)
        require(np.isfinite(eps).all(), "eps", "be finite", eps)
        require((eps >= 0).all(), "eps", "be >= 0", float(eps.min(initial=0)))
        require((eps_step > 0).all(), "eps_step", "be > 0", float(eps_step.min(initial=1)))
    else:
        require(np.isfinite(eps), "eps", "be finite", eps)
        require(eps >= 0, "eps", "be >= 0", eps)
        require(eps_step > 0, "eps_step", "be > 0", eps_step)


def check_radius(norm: Any, eps: Any, norms: tuple[float, ...] = (1, 2, np.inf)) -> None:
    """Check a ball of a parameter-free attack: one of ``norms``, and eps >= 0, a number or an array of them."""
    rule = 'be "inf", np.inf, 1 or 2'
    require(norm_order(norm, rule) in norms, "norm", rule, norm)
    number = isinstance(eps, Real) and not isinstance(eps, bool)
    array = isinstance(eps, np.ndarray) and eps.dtype.kind in "biuf"
    require(number or array, "eps", "be a number or an np.ndarray of numbers", Text(type(eps).__name__), WrongTypeError)
    least = float(np.min(eps, initial=np.inf)) if array else float(eps)
    require(np.isfinite(eps).all() and least >= 0, "eps", "be finite and >= 0", eps)


def plain(values: Any) -> Any:
    """A number as a Python float (ART does not take NumPy's), an array as it is."""
    return values if isinstance(values, np.ndarray) else float(values)


def check_device_options(seed: Any, memory_format: Any, autocast: Any) -> None:
    """Check the keyword-only additions to ART's parameters."""
    counts = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and 0 <= seed < 2**63
    require(seed is None or counts, "seed", "be None or an int in [0, 2^63)", seed)
    formats = (None, "channels_last")
    require(memory_format in formats, "memory_format", 'be None or "channels_last"', memory_format)
    half = (torch.bfloat16, torch.float16)
    require(autocast is None or autocast in half, "autocast", "be None, torch.bfloat16 or torch.float16", autocast)


def check_parameters(given: dict[str, Any], known: Sequence[str]) -> None:
    """Refuse names that are not among the ``known`` parameters, with the nearest one."""
    for name in given:
        near = nearest(name, known)
        require(name in known, "parameters", f"be among {list(known)}", Text(f"{name!r}{near}"))


def check_counts(**counts: Any) -> None:
    """Check integers: ``batch_size`` >= 1, every other >= 0."""
    for name, value in counts.items():
        least = 1 if name == "batch_size" else 0
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        require(whole, name, "be an int", value, WrongTypeError)
        require(value >= least, name, f"be >= {least}", value)


def check_flags(**flags: Any) -> None:
    """Check booleans."""
    for name, value in flags.items():
        require(isinstance(value, (bool, np.bool_)), name, "be a bool", value)


def images(x: Any, dtype: Any) -> Tensor:
    """Images (N, ...) as a tensor of ART's float type; arrays share memory if possible, tensors keep their device."""
    if isinstance(x, Tensor):
        require(x.layout == torch.strided, "x", "be dense", x.layout, TypeError)
        real = not x.is_complex()
        x = x.clone() if x.is_inference() else x  # no gradient could be taken of it
    else:
        require(isinstance(x, np.ndarray), "x", "be an np.ndarray or a torch.Tensor", Text(type(x).__name__), TypeError)
        real = x.dtype.kind in "biuf"
    require(real, "x", "be boolean, integer or real", Text(f"dtype {x.dtype}"), TypeError)
    if isinstance(x, np.ndarray):
        with warnings.catch_warnings():
            # An array that must not be written to, such as a memory map, is only read here.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            x = torch.from_numpy(np.ascontiguousarray(x, dtype=dtype))
    require(x.dim() >= 2, "x", "have a batch axis and at least one feature axis", Text(f"shape {tuple(x.shape)}"))
    tensor: Tensor = x.detach().to(torch.from_numpy(np.empty(0, dtype=dtype)).dtype)
    return tensor


def clip_bounds(
    clip_values: Any, features: tuple[int, ...], device: torch.device
) -> tuple[Tensor | None, Tensor | None]:
    """The estimator's ``clip_values`` as two tensors that broadcast against images (N, *features), or (None, None)."""
    if clip_values is None:
        return None, None
    low, high = (torch.as_tensor(np.asarray(v), dtype=torch.float32, device=device) for v in clip_values)
    return bounds_of_features(low, high, features)


def sizes_for(name: str, values: Any, norm: float, shape: tuple[int, ...]) -> float | Tensor:
    """eps or eps_step for images of ``shape``: a number, or a float64 tensor that broadcasts against them.

    Arrays broadcast as in NumPy, so one value per sample has shape (N, 1, ...). A finite norm takes one value per
    sample.
    """
    if not isinstance(values, np.ndarray):
        return float(values)
    require(broadcasts(values.shape, shape), name, f"broadcast to x {shape}", Text(f"shape {values.shape}"))
    if values.size == 1:
        return float(values.reshape(-1)[0])
    per_row = values.ndim == len(shape)
    if norm != np.inf:
        rows = values.reshape(len(values) if per_row else 1, -1)
        rule = f"hold one value per sample, shape ({shape[0]}, {', '.join('1' * (len(shape) - 1))}), for norm {norm:g}"
        require((rows == rows[:, :1]).all(), name, rule, Text(f"shape {values.shape}"))
        values = rows[:, :1].reshape(-1, *[1] * (len(shape) - 1))
    return torch.as_tensor(values, dtype=torch.float64)


def check_pixels(x: Tensor, low: Tensor | None, high: Tensor | None) -> str | None:
    """Refuse NaN, infinite and 8-bit pixels; what to say of a pixel outside ``clip_values``, None if all are inside."""
    if x.numel() == 0:
        return None
    least, most = (float(v) for v in torch.stack(torch.aminmax(x)))
    bad = least if not np.isfinite(least) else most
    require(np.isfinite(bad), "x", "hold finite pixels", bad)
    return None if low is None or high is None else outside(x, low, high)


def check_layout(x: Tensor, estimator: Any) -> None:
    """Refuse images whose channels are at the other end than the estimator's ``input_shape`` says.

    A model that begins by flattening would take them, and a pipeline would turn the wrong axes.
    """
    shape, got = tuple(getattr(estimator, "input_shape", None) or ()), tuple(x.shape[1:])
    moved = got != shape and len(shape) > 1 and got in ((*shape[1:], shape[0]), (shape[-1], *shape[:-1]))
    require(not moved, "x", f"have images of shape {shape}, the estimator's input_shape", Text(f"{got}"))


def as_tensor(name: str, values: Any) -> Tensor:
    """An array, list or tensor of booleans, integers or reals as a tensor of its own, in a common type."""
    require(values is not None, name, "be given", None)
    if isinstance(values, Tensor):
        require(not values.is_complex(), name, "be boolean, integer or real", Text(f"dtype {values.dtype}"), TypeError)
        return values.detach()
    try:
        array = np.array(values)
    except ValueError:  # rows of different length
        array = np.array(None)
    kind = array.dtype.kind
    require(kind in "biuf", name, "hold booleans, integers or reals", Text(f"dtype {array.dtype}"), TypeError)
    # Torch has no big-endian and few unsigned types.
    return torch.from_numpy(array.astype({"b": bool, "i": np.int64, "u": np.int64}.get(kind, np.float64)))


def class_labels(labels: Any, n: int, nb_classes: int) -> Tensor:
    """Labels in any of ART's forms as rows (N, K), float32; see :func:`class_targets`."""
    targets = class_targets(labels, n, nb_classes)
    return targets if targets.dim() == 2 else torch.nn.functional.one_hot(targets, max(nb_classes, 2)).float()


def class_targets(labels: Any, n: int, nb_classes: int) -> Tensor:
    """Labels in any of ART's forms, checked: class indices, or rows where one of them is no single class.

    :param labels: Class indices (N,) or (N, 1), or one-hot or soft labels (N, K); array, list or tensor.
    :param n: How many samples there are.
    :param nb_classes: The number of classes K; one output unit still tells two apart.
    :return: Indices (N,) int64; if a row is not exactly one-hot, all rows (N, K) float32.
    :raises ValueError: unless every label is an index in [0, K) or a distribution, non-negative and of sum one.
    """
    y = as_tensor("y", labels)
    got = Text(f"shape {tuple(y.shape)}")
    require(y.dim() > 0 and len(y) == n, "y", f"hold one label for each of the {n} samples", got)
    classes = max(nb_classes, 2)
    if y.dim() == 2 and y.shape[1] == classes:
        return _indices_or_rows(y)
    indices = y.dim() == 1 or (y.dim() == 2 and y.shape[1] == 1)
    require(indices, "y", f"have shape ({n},), ({n}, 1) or ({n}, {classes})", got)
    y = y.reshape(-1)
    bad = ~((y == y.long()) & (y >= 0) & (y < classes))
    require(not bool(bad.any()), "y", f"hold class indices in [0, {classes})", y[bad][:1].tolist())
    return y.long()


def _indices_or_rows(y: Tensor) -> Tensor:
    rows = y.float()
    bad = ~((rows >= 0).all(1) & ((rows.sum(1) - 1).abs() <= LABEL_SUM_SLACK))
    rule = "hold non-negative rows of sum 1 (or class indices)"
    require(not bool(bad.any()), "y", rule, rows[bad][:1].flatten().tolist())
    one_hot = bool(((rows == 0) | (rows == 1)).all())
    return rows.argmax(1) if one_hot else rows


def mask_for(mask: Any, x: Tensor) -> Tensor | None:
    """Return a mask that broadcasts to ``x`` as a float tensor: zero where pixels must stay, else non-negative."""
    if mask is None:
        return None
    arrays = isinstance(mask, (Tensor, np.ndarray))
    require(arrays, "mask", "be an np.ndarray or a tensor", Text(type(mask).__name__), TypeError)
    mask = as_tensor("mask", mask)
    values: Tensor = mask.detach().to(x.dtype)
    shape = tuple(values.shape)
    require(broadcasts(shape, tuple(x.shape)), "mask", f"broadcast to x {tuple(x.shape)}", Text(f"shape {shape}"))
    negative = values[~(values >= 0)][:1].tolist()
    require(not negative, "mask", "be >= 0 and not NaN", negative)
    return values


def broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether an array of ``shape`` broadcasts to ``target`` without enlarging it."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False
