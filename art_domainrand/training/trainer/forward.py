"""From the views of a batch to class scores, in training mode and under one draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from torch import Tensor, nn

from art_domainrand.core.checks import Text, require
from art_domainrand.core.global_rng import global_rng_state, restore_global_rng
from art_domainrand.estimators.preprocessing import preprocessing_chain
from art_domainrand.estimators.training import adapted_scores
from art_domainrand.training.data.small_batches import advice_on_small_batches
from art_domainrand.training.streams import randomized_modules


class TrainingScores:
    """The classifier's preprocessing for training and its ``model``, which may be wrapped, in mixed precision if asked.

    Several views of a batch, all of its size, pass the model at once and are seen under one draw of all that is random
    in the classifier, but for its dropout.
    """

    def __init__(self, classifier: PyTorchClassifier, autocast: torch.dtype | None) -> None:
        self.model: nn.Module = classifier.model
        self.device: torch.device = classifier.device
        self.adapted = adapted_scores(classifier, self.call_model)
        self.autocast = autocast
        self.preprocess = preprocessing_chain(classifier, fit=True)
        self.processor: Callable[[Tensor], Tensor] | None = getattr(classifier, "processor", None)  # Hugging Face's
        applied = [op for op in classifier.preprocessing_operations if op.apply_fit]
        self.replayed = [op for op in applied if hasattr(op, "replay")]
        known = (StandardisationMeanStdPyTorch, *map(type, self.replayed))
        self.from_global = any(not isinstance(op, known) for op in applied)
        self.modules = [module.randomization for module in randomized_modules(classifier.model)]

    def __call__(self, *views: Tensor) -> Tensor:
        """The class scores (views * B, K) in float32."""
        with ExitStack() as held:
            if len(views) > 1:
                self.hold_draws(held, len(views[0]), len(views))
            seen = self.preprocessed(views)
            scores = self.scores(seen[0] if len(seen) == 1 else torch.cat(seen))
        got = Text(f"shape {tuple(scores.shape)}")
        fits = scores.dim() == 2 and scores.shape[1] > 1
        require(fits, "classifier", "return a tensor of class scores (B, K), K >= 2", got)
        return scores

    def hold_draws(self, held: ExitStack, images: int, views: int) -> None:
        """Let preprocessors show every view under one draw, and random modules in the model all views in one batch."""
        for operation in self.replayed:
            held.enter_context(operation.replay())
        for module in self.modules:
            held.enter_context(module.replay(module.sample(images, self.device).repeat(views)))

    def preprocessed(self, views: Sequence[Tensor]) -> list[Tensor]:
        """The views as the model is shown them; what draws from global generators draws the same for each."""
        if len(views) == 1 or not self.from_global:
            return [self.preprocess(view, None)[0] for view in views]
        before = global_rng_state(self.device)
        seen = []
        for view in views:
            restore_global_rng(before, self.device)
            seen.append(self.preprocess(view, None)[0])
        return seen

    def scores(self, x: Tensor) -> Tensor:
        """The model's scores of preprocessed images."""
        autocast: AbstractContextManager[Any] = nullcontext()
        if self.autocast is not None:
            autocast = torch.autocast(self.device.type, dtype=self.autocast)
        with autocast, advice_on_small_batches("change batch_size"):
            return self.adapted(x)

    def call_model(self, x: Tensor) -> Any:
        """What the model, which may be wrapped meanwhile, returns."""
        return self.model(x if self.processor is None else self.processor(x))
