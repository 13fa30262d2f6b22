"""Loss gradients of a PyTorchClassifier on its device."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from copy import copy
from typing import Any

import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor

from art_domainrand.core.memory import Parts
from art_domainrand.core.norms import per_sample, power_of_two
from art_domainrand.estimators.compiling import Compiler
from art_domainrand.estimators.kinds import plain_cross_entropy
from art_domainrand.estimators.outputs import Adapted, class_outputs
from art_domainrand.estimators.preprocessing import model_forward, preprocessing_chain, random_preprocessors
from art_domainrand.estimators.protocol import Evaluated, Labels, Objective, Through
from art_domainrand.estimators.scores import class_scores, one_output_error, predict

# Seed the backward pass of float16 models, whose small gradients would flush to zero and whose large ones overflow: the
# first of these for which all are finite serves from then on. Divided out again in float32.
HALF_PRECISION_SCALES = (2.0**10, 2.0**5, 1.0, 2.0**-5, 2.0**-10)


class DeviceGradients:
    """Loss gradients and class scores of a PyTorchClassifier without leaving its device.

    A batch that does not fit into memory is taken in halves, quarters ... from then on. With ``summed`` a mean
    cross-entropy is taken as the sum: the mean rounds the gradient at an image by how many others there are.
    """

    def __init__(
        self,
        estimator: Any,
        memory_format: str | None,
        autocast: torch.dtype | None,
        compiler: Compiler | None = None,
        *,
        summed: bool = False,
    ) -> None:
        self.estimator = estimator
        self.device: torch.device = estimator.device
        self.channels_last = memory_format == "channels_last"
        self.autocast = autocast
        self.preprocess = preprocessing_chain(estimator)
        self.random_preprocessors = random_preprocessors(estimator)
        forward, model, classes = model_forward(estimator), estimator._model, estimator.nb_classes
        self.exact_forward = Adapted(forward, model, classes)
        self.forward = self.exact_forward
        if compiler is not None:
            self.forward = Adapted(compiler(model, forward), model, classes)
        half = torch.float16 in (autocast, self.forward.dtype)
        self.scales: tuple[float, ...] = HALF_PRECISION_SCALES if half else ()
        self.spares_input = True
        self.parts = Parts()
        self.cross_entropy = plain_cross_entropy(estimator._loss)
        self.as_predicted = type(estimator).predict is PyTorchClassifier.predict
        self.loss_function, self.summed = as_sum(estimator._loss) if summed else (estimator._loss, False)

    def labels(self, y: Any) -> Labels:
        """Move labels to the device and reduce them to the form the loss takes; that reads values, so only once."""
        y = torch.as_tensor(y, device=self.device)
        return y, self.estimator.reduce_labels(y)

    def gradient(self, x: Tensor, y: Labels, sign: int) -> Tensor:
        """Return ``sign`` times the gradient of the estimator's loss with respect to ``x``, in the type of ``x``."""
        found = []
        for part in self.parts.over(len(x)):
            with part as rows:
                found.append(self._gradient(x[rows], y[0][rows], y[1][rows], sign))
        return found[0] if len(found) == 1 else torch.cat(found)

    def _gradient(self, x: Tensor, full: Tensor, reduced: Tensor, sign: int) -> Tensor:
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            outputs, labels = self.run(leaf, full, reduced)
            return self.differentiate(self.loss(outputs, labels), outputs, leaf, sign)

    def evaluate(
        self,
        x: Tensor,
        y: Labels,
        sign: int,
        objective: Objective | None = None,
        draws: Sequence[Any] = (),
        through: Through | None = None,
    ) -> Evaluated:
        """Scores, values and gradient from one forward and one backward pass."""
        parts = []
        for part in self.parts.over(len(x)):
            with part as rows:
                parts.append(self._evaluate(x, y, sign, objective, draws, through, rows))
        if len(parts) == 1:
            return parts[0]
        values = None if objective is None else torch.cat([part.values for part in parts if part.values is not None])
        scores = torch.cat([part.scores for part in parts])
        return Evaluated(scores, values, torch.cat([part.gradient for part in parts]))

    def _evaluate(
        self,
        x: Tensor,
        y: Labels,
        sign: int,
        objective: Objective | None,
        draws: Sequence[Any],
        through: Through | None,
        rows: slice,
    ) -> Evaluated:
        leaf = x[rows].detach().requires_grad_()
        full, reduced = y
        with torch.enable_grad(), self.drawn([draw[rows] for draw in draws]):
            images = leaf if through is None else through(leaf, rows)
            outputs, labels = self.run(images, full[rows], reduced[rows])
            scores = class_scores(outputs, len(leaf), self.estimator._loss).float()
            values = None if objective is None else objective(scores, rows)
            target = self.loss(outputs, labels) * self.share(rows, len(x)) if values is None else values.sum()
            # First at the images: a model that is cut off from them is told by a missing gradient there.
            grad = self.differentiate(target, outputs, images, sign if values is None else 1)
            if images is not leaf:
                (grad,) = torch.autograd.grad(images, leaf, grad.to(images.dtype))
        return Evaluated(scores.detach(), None if values is None else values.detach(), grad)

    @contextmanager
    def drawn(self, draws: Sequence[Any]) -> Iterator[None]:
        """Let the random preprocessors take these draws; none leaves them their own.

        Where the user holds a draw, for so many images, it stays: an attack that drops some must say that it cannot.
        """
        if any(getattr(preprocessor, "_holding", False) for preprocessor in self.random_preprocessors):
            draws = ()
        with ExitStack() as held:
            for preprocessor, draw in zip(self.random_preprocessors, draws, strict=bool(draws)):
                held.enter_context(preprocessor.replay(draw))
            yield

    def share(self, rows: slice, n: int) -> float:
        """What the mean loss of some rows counts for in that of all ``n``, so that parts of a batch agree in scale."""
        return (rows.stop - rows.start) / n if getattr(self.loss_function, "reduction", None) == "mean" else 1.0

    def differentiate(self, target: Tensor, outputs: Tensor, leaf: Tensor, sign: int) -> Tensor:
        """``sign`` times the gradient of a scalar, a function of the ``outputs`` at ``leaf``."""
        if not target.requires_grad:
            raise not_differentiable()
        seed = torch.full_like(target, sign)
        if not self.scales:
            (found,) = torch.autograd.grad(target, leaf, seed, allow_unused=True)
            if found is None:
                raise not_differentiable()
            return found
        (weights,) = torch.autograd.grad(target, outputs, seed, retain_graph=True)
        return self.in_half_precision(outputs, weights, leaf)

    def in_half_precision(self, outputs: Tensor, weights: Tensor, leaf: Tensor) -> Tensor:
        """The gradient of ``sum(weights * outputs)``, every row scaled into the range of float16 and back.

        Each attempt waits for the device. Where no scale helps, the first one's gradient is returned as it is.
        """
        size = weights.abs().reshape(len(weights), -1).amax(1) if len(weights) == len(leaf) else weights.new_ones(1)
        unit = power_of_two(torch.frexp(size).exponent, size)
        unit = torch.where((size > 0) & size.isfinite(), unit, 1.0)
        weights, back = weights / per_sample(unit, weights), per_sample(unit, leaf)
        found = []
        for k, scale in enumerate(self.scales):
            (grad,) = torch.autograd.grad(outputs, leaf, weights * scale, retain_graph=True, allow_unused=True)
            if grad is None:
                raise not_differentiable()
            found.append(grad / scale * back)
            if bool(grad.isfinite().all()):
                self.scales = self.scales[k:]
                return found[-1]
        return found[0]

    def run(self, leaf: Tensor, full: Tensor, reduced: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs in float32, after preprocessing and in mixed precision if asked, and the labels for the loss."""
        inputs, labels = self.preprocess(leaf, full)
        labels = reduced if labels is full else self.estimator.reduce_labels(labels)
        if inputs is leaf and not self.spares_input:
            inputs = leaf.clone()
        if self.channels_last and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with nullcontext() if self.autocast is None else torch.autocast(self.device.type, dtype=self.autocast):
            try:
                outputs = self.forward.run(inputs)
            except RuntimeError as error:
                if inputs is not leaf or "in-place" not in str(error):
                    raise
                self.spares_input = False  # the model writes to its input, which a leaf does not allow
                outputs = self.forward.run(leaf.clone())
        return class_outputs(outputs, len(leaf), self.forward.classes), labels

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Compute the estimator's loss as a scalar."""
        if len(outputs) == outputs.numel() and labels.is_floating_point():  # one output unit
            if labels.dim() == 2 and labels.shape[1] > 1:
                raise one_output_error(outputs, self.estimator._loss)
            labels = labels.reshape(outputs.shape)  # ART's own tensor path drops an axis, or the model squeezes one
        loss: Tensor = self.loss_function(outputs, labels)
        return loss if loss.dim() == 0 else loss.sum()

    def scores(self, x: Tensor, draws: Sequence[Any] = ()) -> Tensor:
        """Class scores in full precision; a model with one output unit is read as two classes."""
        own = type(self.estimator).predict is not PyTorchClassifier.predict or "predict" in vars(self.estimator)
        if own or self.estimator.postprocessing_defences:
            scores = torch.as_tensor(predict(self.estimator, x.cpu().numpy()), device=self.device)
            return class_scores(scores, len(x), self.estimator._loss)
        found = []
        for part in self.parts.over(len(x)):
            with part as rows:
                found.append(self._scores(x[rows], [draw[rows] for draw in draws]))
        return found[0] if len(found) == 1 else torch.cat(found)

    def _scores(self, x: Tensor, draws: Sequence[Any]) -> Tensor:
        with torch.no_grad(), self.drawn(draws):
            inputs, _ = self.preprocess(x, None)
            scores = self.exact_forward(x.clone() if inputs is x else inputs)
        return class_scores(scores, len(x), self.estimator._loss)


def as_sum(loss: Any) -> tuple[Any, bool]:
    """A mean cross-entropy as the sum, whose gradient at an image does not depend on the others; whether it is one."""
    if not plain_cross_entropy(loss) or loss.reduction != "mean":
        return loss, False
    total = copy(loss)
    total.reduction = "sum"
    return total, True


def not_differentiable() -> ValueError:
    """The error for a model whose gradient ends before the images, as that of quantized layers does."""
    return ValueError(
        "estimator must be differentiable in x, but its loss does not depend on x through autograd (of a quantized "
        "model, attack the one in floating point that it was made from)"
    )
