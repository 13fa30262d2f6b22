"""Adversarial and domain-randomized training in one loop on the device, under ART's Trainer interface."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.defences.trainer.trainer import Trainer
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.arrays import Array, from_array
from art_domainrand.core.checks import Text, check_counts, check_layout, require
from art_domainrand.core.renaming import Renamed, collected, renaming
from art_domainrand.estimators.refused import RefusedEstimatorError
from art_domainrand.randomization.core.pipeline import Item, Pipeline, pipeline_from
from art_domainrand.training.data.epochs import Epochs, SampleKeys, Samples
from art_domainrand.training.data.generator import RandomizedDataGenerator
from art_domainrand.training.data.small_batches import WHY, joins_last, refuses_one_image
from art_domainrand.training.data.sources import open_source
from art_domainrand.training.learned.kinds import ranges_of
from art_domainrand.training.trainer.accepted import check_training_attack, warn_of_stranger
from art_domainrand.training.trainer.adversary import training_attack
from art_domainrand.training.trainer.checkpoint import domain_settings, run_settings
from art_domainrand.training.trainer.distributed import Shard, broadcast_object, rank_and_world_size
from art_domainrand.training.trainer.loop import History, TrainingData, run_epochs
from art_domainrand.training.trainer.objectives import OBJECTIVES
from art_domainrand.training.trainer.options import REPLAYS, TrainingOptions
from art_domainrand.training.trainer.ranges import Ranges
from art_domainrand.training.trainer.run import TrainingRun
from art_domainrand.training.trainer.trainable import check_distributable, check_trainable, class_indices, judged_on
from art_domainrand.training.trainer.validation import Validator, measured, validation_pair

WATCHED = 256
"""On how many training images one-step training is watched for catastrophic overfitting without validation data."""

MEMORY_FORMAT = Renamed("memory_format", lambda last: "channels_last" if last else None)
"""What ``channels_last=True`` has become."""


class DomainAdversarialTrainer(Trainer):
    """Train on clean, randomized and adversarial images at once, in one loop that stays on the device.

    Every batch is drawn, attacked and learned from without leaving the device; the attack works on the randomized
    images, so that both kinds of robustness are trained together; one on the domain works on the images as given.

    :param classifier: A ``PyTorchClassifier`` with an optimizer. Its preprocessing runs in training as in ART; a NumPy
        defence needs :class:`~art_domainrand.DifferentiableDefence` around it. Training does not change labels.
    :param attack: The attack of the training, such as ``PGD(classifier, eps=8/255, eps_step=2/255, max_iter=10)``; its
        ``seed`` and ``batch_size`` are not used, and the attack stays as it is. It fools the estimator that it was made
        for, as a rule the same classifier.
    :param randomization: A pipeline, or what one is made from, that randomizes the images; None trains on the images
        as they are.
    :param objective: "standard" (half adversarial, a quarter randomized, a quarter clean), "madry" (adversarial only),
        "trades", "mart", "consistency" (agreement of clean image and two draws, besides), "augmix" (clean images and
        that agreement, no attack), "augmax" (agreement with a draw and the worst, of a :class:`DomainAttack`), "fast"
        (adversarial only, by one step of 1.25 eps from a random start in place of ``attack``'s; Wong et al. 2020), or
        "free" (every batch ``replays`` times, the gradient of the images taken along with that of the weights; Shafahi
        et al. 2019, who divide the number of epochs by the replays).
    :param weight: Of the second term of "trades" (6), "mart" (5), "consistency", "augmix" (12) and "augmax" (10).
    :param awp: Size of the adversarial weight perturbation relative to the weights, such as 0.005; 0 for none.
    :param replays: Passes over a batch with "free".
    :param eps_epochs: Epochs over which eps (and eps_step) rise linearly to the attack's.
    :param range_epochs: Epochs over which the randomization's ranges open from their middles to their full width;
        choices (:class:`Sometimes`, :class:`OneOf`, flips) keep their odds.
    :param automatic_ranges: Open every range while the accuracy at its boundary holds (automatic domain randomization).
    :param ranges: What moves the law of every range: "automatic" (as ``automatic_ranges``), "adversarial", "doraemon",
        "meta", "groups", or settings such as ``AdversarialRanges(entropy=0.1)``, see ``art_domainrand.training``.
    :param ema: Decay of a moving average of the weights, such as 0.999, which is validated and kept in the end.
    :param schedule: "cosine" brings the optimizer's learning rates to zero over all epochs; "constant".
    :param clip_norm: Largest norm of the gradient of all weights.
    :param autocast: ``torch.bfloat16`` or ``torch.float16`` for training and attack.
    :param memory_format: "channels_last" runs convolutions in that layout; None in the model's own.
    :param seed: Of order, draws, attack and, while it trains, the global generators of torch, NumPy and Python, from
        which dropout draws: a run with the same seed repeats bit for bit on the same machine, and the global generators
        are afterwards as they were before. What a sample draws is a function of the seed, the epoch and its place in
        the data, whatever the batch size and the number of processes. The classifier's own random preprocessors keep
        their own seeds.
    :param checkpoint: Folder for ``last.pt`` and ``best.pt``; a run that finds ``last.pt`` there goes on from it, and
        is refused if it is another one, one of more epochs too, whose learning rates would be others. What the data
        were is not recorded, but how many.
    :param log_dir: Folder for TensorBoard's scalars; needs tensorboard or tensorboardX.
    :param verbose: Show progress: loss, and clean, robust and shift accuracy.
    :raises ValueError, TypeError: naming the argument, the rule and the value.

    ``history`` holds one dictionary an epoch: "loss", "accuracy" on the batches as trained on, what validation finds
    ("clean", "robust", "shift"), and what a curriculum has reached (``ranges.to_pipeline()`` is a law that was
    learned). A RuntimeWarning tells of catastrophic overfitting, found on the validation data, or with "fast" and
    "free" without any on some training images.

    Under ``torchrun`` (an initialized ``torch.distributed``) every process reads and trains on its part of each batch
    of ``batch_size`` images; gradients are averaged, and the first process validates and writes.
    """

    @renaming(pipeline="randomization", channels_last=MEMORY_FORMAT)
    def __init__(
        self,
        classifier: PyTorchClassifier,
        attack: Any,
        *,
        randomization: Item | None = None,
        objective: str = "standard",
        weight: float | None = None,
        awp: float = 0.0,
        replays: int = REPLAYS,
        eps_epochs: int = 0,
        range_epochs: int = 0,
        automatic_ranges: bool = False,
        ranges: Any = None,
        ema: float = 0.0,
        schedule: str = "cosine",
        clip_norm: float | None = None,
        autocast: torch.dtype | None = None,
        memory_format: str | None = None,
        seed: int = 0,
        checkpoint: str | Path | None = None,
        log_dir: str | Path | None = None,
        verbose: bool = True,
    ) -> None:
        options = collected(TrainingOptions, locals())
        rule = "be an art.estimators.classification.PyTorchClassifier with an optimizer"
        fits = isinstance(classifier, PyTorchClassifier) and classifier.optimizer is not None
        refused = RefusedEstimatorError.of(classifier, [PyTorchClassifier])
        require(fits, "classifier", rule, Text(type(classifier).__name__), refused)
        check_training_attack(attack, options.objective)
        warn_of_stranger(attack, classifier)
        check_trainable(classifier)
        given = randomization is not None
        ranged = options.range_kind is not None or options.range_epochs > 0
        require(given or not ranged, "randomization", "be given for automatic_ranges, ranges and range_epochs", None)
        rule = "be given with clip_values for a randomization"
        require(not given or classifier.clip_values is not None, "classifier", rule, Text("one without"))
        options.warn_of_idle(randomized=given)
        super().__init__(classifier)
        self.attack, self.options = attack, options
        self.randomization = pipeline_from("randomization", randomization) if randomization is not None else None
        self.history: History = []
        self.ranges: Ranges | None = None
        ranges_of(options.range_settings, self.randomization)  # refuses a randomization that they cannot move

    @property
    def pipeline(self) -> Pipeline | None:
        """The old name of ``randomization``."""
        warnings.warn("pipeline is deprecated, say randomization", DeprecationWarning, stacklevel=2)
        return self.randomization

    @suggesting_names
    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 128,
        nb_epochs: int = 20,
        validation_data: tuple[Array, Array] | None = None,
    ) -> None:
        """Train for ``nb_epochs`` in all, those of a resumed checkpoint included.

        :param x: Images (N, ...) in the units of ``clip_values``, as an array or tensor; or a map-style torch
            ``Dataset`` of pairs (image, label), or a ``DataLoader`` of one, of which the dataset, its order (or its
            sampler), ``drop_last``, its workers and their functions are kept, but not its batch size.
        :param y: Class indices (N,), or one-hot labels (N, K), of an array ``x``; None where ``x`` yields them.
        :param batch_size: Images of a batch; an epoch's last one has what is left. Where that is one image, and batch
            normalization in the model cannot train on it, it joins the batch before, with a warning.
        :param nb_epochs: How often each image is trained on, in all.
        :param validation_data: Images and labels on which every epoch is measured: clean, under PGD, under the
            randomization. With it the weights of the best epoch under PGD are kept in the end, else the last ones.
        :raises ValueError, TypeError: naming the argument, the rule and the value.
        """
        check_counts(batch_size=batch_size, nb_epochs=nb_epochs)
        batch_size = int(batch_size)
        if isinstance(x, (np.ndarray, Tensor)):
            check_layout(x, self._classifier)  # type: ignore[arg-type]
            y = self._indices(y, len(x))
        source = open_source(x, y, features=True)
        check_distributable(source)
        layout = partial(check_layout, estimator=self._classifier)
        epochs = Epochs(source, batch_size, encode=self._indices, check=layout)
        rule = f"be at most the {len(source)} images where x drops the last"
        require(len(epochs) > 0, "batch_size", rule, batch_size)
        if joins_last(self._classifier, self._seen(batch_size), self._seen(epochs.last), len(epochs), stacklevel=4):
            epochs = Epochs(source, batch_size, encode=self._indices, check=layout, joined=True)

        chosen: list[int] = []  # of a sampler, which may leave samples out: the first that it has shown
        first: list[tuple[Tensor, Tensor]] = []

        def batches(number: int, seed: int) -> Iterator[Samples]:
            order = epochs.order(number, seed)
            if source.own_order is not None and rank_and_world_size()[1] > 1:
                order = broadcast_object(list(order))  # a sampler may draw another one in every process
            if source.own_order is not None and not chosen:
                order = list(order)
                chosen.extend(order[:WATCHED])
            return epochs.read(number, seed, order, lambda size: Shard.own(size).rows)

        def watched() -> tuple[Tensor, Tensor]:
            if not first:
                found = epochs.first(WATCHED, chosen or None)
                assert isinstance(found.y, Tensor)
                first.append((found.x, found.y))
            return first[0]

        size = {"images": len(source), "batch_size": batch_size}
        self._train(TrainingData(batches, len(epochs), size, watched), nb_epochs, validation_data)

    @suggesting_names
    def fit_generator(
        self, generator: Any, nb_epochs: int = 20, validation_data: tuple[Array, Array] | None = None
    ) -> None:
        """:meth:`fit` on the batches of an ART ``DataGenerator``; what it draws itself, a resumed run cannot repeat.

        Of several processes the first draws the batches for all.

        :param generator: A ``DataGenerator`` with a ``size``, whose labels are class indices or one-hot.
        :param nb_epochs: As in :meth:`fit`.
        :param validation_data: As in :meth:`fit`.
        :raises ValueError, TypeError: naming the argument, the rule and the value.
        """
        check_counts(nb_epochs=nb_epochs)
        sized = getattr(generator, "size", None) is not None and hasattr(generator, "get_batch")
        require(sized, "generator", "be an ART DataGenerator with a size", Text(type(generator).__name__), TypeError)
        if isinstance(generator, RandomizedDataGenerator) and self._seen(generator.last_rows) == 1:
            rule = f"have no batch of one image, {WHY} (drop_last=True leaves it out)"
            require(not refuses_one_image(self._classifier), "generator", rule, generator)
        steps = -(-int(generator.size) // int(generator.batch_size))
        first: list[tuple[Tensor, Tensor]] = []

        def batches(number: int, seed: int) -> Iterator[Samples]:
            images = 0
            for _ in range(steps):
                got, labels = broadcast_object(generator.get_batch() if rank_and_world_size()[0] == 0 else None)
                x, y = from_array(np.asarray(got, dtype=np.float32)), self._indices(labels, len(got))
                if not first:
                    first.append((x[:WATCHED].clone(), y[:WATCHED].clone()))
                rows = Shard.own(len(x)).rows
                yield Samples(SampleKeys.counted(images, len(x)), rows, x[rows], y[rows])
                images += len(x)

        size = {"images": int(generator.size), "batch_size": int(generator.batch_size)}
        self._train(TrainingData(batches, steps, size, lambda: first[0]), nb_epochs, validation_data)

    @suggesting_names
    def predict(self, x: Array, batch_size: int = 128, training_mode: bool = False) -> Array:
        """The classifier's predictions.

        :param x: Images (N, ...).
        :param batch_size: How many images the model is shown at a time.
        :param training_mode: Whether the model predicts in training mode.
        :return: Scores (N, K).
        """
        scores: Array = self._classifier.predict(x, batch_size=batch_size, training_mode=training_mode)
        return scores

    def _train(self, data: TrainingData, nb_epochs: int, validation_data: tuple[Array, Array] | None) -> None:
        check_trainable(self._classifier)
        nb_epochs = int(nb_epochs)
        self.options.warn_of_epochs(nb_epochs)
        run = self._run(data.steps, nb_epochs)
        validator = self._validator(validation_data, data.size["batch_size"])
        run.ranges.accept(None if validator is None else validator.tensors)
        settings = run_settings(self._classifier, self.attack, self.randomization, self.options)
        settings |= data.size | {"nb_epochs": nb_epochs, "steps": data.steps, "processes": rank_and_world_size()[1]}
        settings["validation_data"] = "none" if validator is None else "given"
        settings["validation_domain"] = domain_settings(run.ranges.domain)
        history: History = []
        self.history = history

        def measure(row: dict[str, float]) -> dict[str, float]:
            watcher = None
            if validator is None and self.options.objective in ("fast", "free"):
                x, y = (part.cpu().numpy() for part in data.watched())
                watcher = self._validator((x, y), WATCHED)
            return measured(row, history, validator, watcher)

        run_epochs(run, data, nb_epochs, history, measure, settings)

    def _run(self, steps: int, nb_epochs: int) -> TrainingRun:
        attack = training_attack(self.attack, self.options)
        self.ranges = ranges_of(judged_on(self.options.range_settings, self._classifier), self.randomization)
        return TrainingRun(self._classifier, attack, self.randomization, self.options, steps, nb_epochs, self.ranges)

    def _seen(self, images: int) -> int:
        """How many rows of a batch of so many images the model sees at once, in the process that has the fewest."""
        views = OBJECTIVES[self.options.objective].views if self.options.objective in OBJECTIVES else 1
        return max(images // rank_and_world_size()[1], 1) * views

    def _validator(self, data: tuple[Array, Array] | None, batch_size: int) -> Validator | None:
        if data is None:
            return None
        x, y = validation_pair(data, self._indices)
        return Validator(self._classifier, x, y, self.attack, self.randomization, self.options.seed, batch_size)

    def _indices(self, y: Any, n: int | None = None) -> Tensor:
        return class_indices(y, len(y) if n is None else n, self._classifier.nb_classes)
