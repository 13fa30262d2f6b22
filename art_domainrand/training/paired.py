"""The clean and the adversarial view of a batch under one draw, in ART's trainers that compare the two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from art.defences.trainer import (
    AdversarialTrainerAWPPyTorch,
    AdversarialTrainerOAATPyTorch,
    AdversarialTrainerTRADESPyTorch,
)

from art_domainrand.core.checks import Text, require
from art_domainrand.core.global_rng import global_rng_state, restore_global_rng
from art_domainrand.estimators.overriding import last_output_alone, preprocessing_seen, replaced
from art_domainrand.training.streams import randomized_modules

COMPARING = (AdversarialTrainerTRADESPyTorch, AdversarialTrainerAWPPyTorch, AdversarialTrainerOAATPyTorch)
"""ART's trainers that put a clean and an adversarial view of one batch into their loss."""


@contextmanager
def paired(trainer: Any) -> Iterator[None]:
    """Show ``trainer`` both views of a batch under the same draw: ``with paired(trainer): trainer.fit(x, y)``.

    TRADES, AWP and OAAT compare a model's output for clean images with that for adversarial ones, but ART preprocesses
    the two by independent draws, so that their distance measures the randomization along with the attack. Inside this
    block, in ``fit`` and ``fit_generator``, both are preprocessed with one draw, and the next batch with a fresh one;
    so are :class:`RandomizedModule` modules in the models at work (each of them with its own draw). Other random
    preprocessors are paired too, if they draw from the global generators of torch, NumPy or Python. The attack runs
    before, with draws of its own.

    ART also preprocesses validation images twice, by the training preprocessing and again in ``predict``; here
    they are left to ``predict``, so that validation sees what prediction sees.

    Of a model that is a ``torch.nn.Sequential`` ART's TRADES counts the hits of the first layer's output, and stops,
    the weights moved, with torch's error about sizes if that is no row of scores; here it sees the last layer's alone.

    Whatever happens inside, the trainer, its classifiers and preprocessors are left as found.

    :param trainer: an ``AdversarialTrainerTRADESPyTorch``, ``AdversarialTrainerAWPPyTorch`` or
        ``AdversarialTrainerOAATPyTorch``.
    :raises ValueError: for any other trainer; they show the model one view of a batch.
    """
    names = ", ".join(kind.__name__ for kind in COMPARING)
    rule = f"be one that compares two views ({names})"
    require(isinstance(trainer, COMPARING), "trainer", rule, Text(type(trainer).__name__))
    process = trainer._batch_process
    batch: _Batch | None = None

    def process_paired(*args: Any, **kwargs: Any) -> Any:
        nonlocal batch
        with _Batch(trainer) as batch:
            try:
                return process(*args, **kwargs)
            finally:
                batch = None

    def seen(preprocess: Callable[[], Any], x: Any, y: Any) -> Any:
        if batch is None:  # validation images, which predict will preprocess
            return x, y
        return batch.view(preprocess)

    with replaced(trainer, "_batch_process", process_paired), preprocessing_seen(trainer._classifier, seen):
        yield


class _Batch:
    """One batch of a trainer, whose views, from the first on, all take the draws of the first."""

    def __init__(self, trainer: Any) -> None:
        classifier = trainer._classifier
        models = [classifier.model] + [c.model for c in [getattr(trainer, "_proxy_classifier", None)] if c is not None]
        modules = [module.randomization for model in models for module in randomized_modules(model)]
        operations = [op for op in classifier.preprocessing_operations if hasattr(op, "replay")]
        self._random = {id(op): op for op in operations + modules}.values()
        self._held = ExitStack()
        self._states: dict[str, Any] | None = None
        self._device = classifier.device
        self._classifier = classifier

    def __enter__(self) -> _Batch:
        return self

    def __exit__(self, *exception: object) -> None:
        self._held.close()

    def view(self, preprocess: Callable[[], Any]) -> Any:
        """Preprocess one view."""
        if self._states is None:
            for op in self._random:
                self._held.enter_context(op.replay())
            self._held.enter_context(last_output_alone(self._classifier))  # the attack, which may want all, is over
            self._states = global_rng_state(self._device)
        else:
            restore_global_rng(self._states, self._device)
        return preprocess()
