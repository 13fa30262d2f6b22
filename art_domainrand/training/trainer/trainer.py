"""Adversarial and domain-randomized training in one loop on the device, under ART's Trainer interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.defences.trainer.trainer import Trainer
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from art_domainrand.attacks.apgd import AutoPGD
from art_domainrand.attacks.fgsm import FGSM
from art_domainrand.attacks.pgd import PGD
from art_domainrand.core.arrays import Array, from_array
from art_domainrand.core.checks import (
    RefusedEstimatorError,
    Said,
    check_counts,
    check_layout,
    class_labels,
    require,
)
from art_domainrand.core.files import check_folder
from art_domainrand.randomization.core.pipeline import Item, Pipeline
from art_domainrand.training.data.generator import RandomizedDataGenerator
from art_domainrand.training.data.small_batches import WHY, joins_last, refuses_one_image
from art_domainrand.training.fitting import trains_as_pytorch_classifier
from art_domainrand.training.trainer import checkpoint
from art_domainrand.training.trainer.checkpoint import (
    attack_settings,
    model_settings,
    optimizer_settings,
    preprocessing_settings,
)
from art_domainrand.training.trainer.distributed import same_everywhere, wait, world
from art_domainrand.training.trainer.objectives import OBJECTIVES
from art_domainrand.training.trainer.options import TrainingOptions
from art_domainrand.training.trainer.run import Batches, Run
from art_domainrand.training.trainer.scalars import Scalars
from art_domainrand.training.trainer.validation import Validator, is_overfitted, warn_of_overfitting

SHOWN = ("loss", "clean", "robust", "shift")
"""What the progress bar says of an epoch."""


WATCHED = 256
"""On how many training images one-step training is watched for catastrophic overfitting without validation data."""


class DomainAdversarialTrainer(Trainer):
    """Train on clean, randomized and adversarial images at once, in one loop that stays on the device.

    Every batch is drawn, attacked and learned from without leaving the device; the attack works on the randomized
    images, so that both kinds of robustness are trained together.

    :param classifier: A ``PyTorchClassifier`` with an optimizer. Its preprocessing runs in training as in ART; a NumPy
        defence needs :class:`~art_domainrand.DifferentiableDefence` around it. Training does not change labels.
    :param attack: The attack of the training, such as ``PGD(classifier, eps=8/255, eps_step=2/255, max_iter=10)``; its
        ``seed`` and ``batch_size`` are not used, and the attack stays as it is. It fools the estimator that it was made
        for, as a rule the same classifier.
    :param pipeline: What randomizes the images; None trains on the images as they are.
    :param objective: "standard" (half adversarial, a quarter randomized, a quarter clean), "madry" (adversarial only),
        "trades", "mart", "consistency" (AugMix-like agreement of clean image and two draws), "fast" (adversarial only,
        by one step of 1.25 eps from a random start in place of ``attack``'s own; Wong et al. 2020), or "free" (every
        batch ``replays`` times, the gradient of the images taken along with that of the weights; Shafahi et al. 2019,
        who divide the number of epochs by the replays).
    :param weight: Of the second term of "trades" (6), "mart" (5) and "consistency" (12).
    :param awp: Size of the adversarial weight perturbation relative to the weights, such as 0.005; 0 for none.
    :param replays: Passes over a batch with "free".
    :param eps_epochs: Epochs over which eps (and eps_step) rise linearly to the attack's.
    :param range_epochs: Epochs over which the pipeline's ranges open from their middles to their full width; choices
        (:class:`Sometimes`, :class:`OneOf`, flips) keep their odds.
    :param automatic_ranges: Open every range while the accuracy at its boundary holds (automatic domain randomization).
    :param ema: Decay of a moving average of the weights, such as 0.999, which is validated and kept in the end.
    :param schedule: "cosine" brings the optimizer's learning rates to zero over all epochs; "constant".
    :param clip_norm: Largest norm of the gradient of all weights.
    :param autocast: ``torch.bfloat16`` or ``torch.float16`` for training and attack.
    :param channels_last: Run convolutions in that memory format.
    :param seed: Of order, draws, attack and, while it trains, the global generators of torch, NumPy and Python, from
        which dropout draws: a run with the same seed repeats bit for bit on the same machine, and the global generators
        are afterwards as they were before. The classifier's own random preprocessors keep their own seeds.
    :param checkpoint: Folder for ``last.pt`` and ``best.pt``; a run that finds ``last.pt`` there goes on from it, and
        is refused if it is another one, one of more epochs too, whose learning rates would be others. What the data
        were is not recorded, but how many.
    :param log_dir: Folder for TensorBoard's scalars; needs tensorboard or tensorboardX.
    :param verbose: Show progress: loss, and clean, robust and shift accuracy.
    :raises ValueError, TypeError: naming the argument, the rule and the value.

    ``history`` holds one dictionary an epoch. A RuntimeWarning tells of catastrophic overfitting, found on the
    validation data, or with "fast" and "free" without any on some training images.

    Under ``torchrun`` (an initialized ``torch.distributed``) every process trains on its part of each batch of
    ``batch_size`` images, with draws of its own; gradients are averaged, and the first process validates and writes.
    """

    def __init__(
        self, classifier: PyTorchClassifier, attack: Any, *, pipeline: Item | None = None, **options: Any
    ) -> None:
        rule = "be an art.estimators.classification.PyTorchClassifier with an optimizer"
        fits = isinstance(classifier, PyTorchClassifier) and classifier.optimizer is not None
        refused = RefusedEstimatorError.of(classifier, [PyTorchClassifier])
        require(fits, "classifier", rule, Said(type(classifier).__name__), refused)
        rule = "be an FGSM, PGD or AutoPGD of this library"
        require(isinstance(attack, (FGSM, PGD, AutoPGD)), "attack", rule, Said(type(attack).__name__), TypeError)
        require(not attack.targeted, "attack", "be untargeted", Said("a targeted one"))
        check_trainable(classifier)
        super().__init__(classifier)
        self.attack = attack
        self.pipeline = None if pipeline is None else pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)
        known = list(TrainingOptions.__dataclass_fields__)
        unknown = next((name for name in options if name not in known), "")
        near = get_close_matches(unknown, known, 1)
        if unknown:
            hint = f"did you mean {near[0]!r}?" if near else f"the options are {known}"
            raise TypeError(f"got an unexpected keyword argument {unknown!r}; {hint}")
        self.options = TrainingOptions(**options)
        ranged = self.options.automatic_ranges or self.options.range_epochs > 0
        rule = "be given for automatic_ranges and range_epochs"
        require(self.pipeline is not None or not ranged, "pipeline", rule, None)
        rule = "be given with clip_values for a pipeline"
        require(self.pipeline is None or classifier.clip_values is not None, "classifier", rule, Said("one without"))
        self.history: list[dict[str, float]] = []

    def fit(
        self,
        x: Array,
        y: Array,
        batch_size: int = 128,
        nb_epochs: int = 20,
        validation_data: tuple[Array, Array] | None = None,
        **kwargs: Any,
    ) -> None:
        """Train for ``nb_epochs`` in all, those of a resumed checkpoint included.

        :param x: Images (N, ...) in the units of ``clip_values``.
        :param y: Class indices (N,), or one-hot labels (N, K).
        :param batch_size: Images of a batch; an epoch's last one has what is left. Where that is one image, and batch
            normalization in the model cannot train on it, it joins the batch before, with a warning.
        :param validation_data: Images and labels on which every epoch is measured: clean, under PGD, under the
            pipeline. With it the weights of the best epoch under PGD are kept in the end, else the last ones.
        """
        check_counts(batch_size=batch_size, nb_epochs=nb_epochs)
        batch_size = int(batch_size)
        rule = "be an array of images; for a Dataset or DataLoader, fit_generator(RandomizedDataGenerator(x, ...))"
        require(not isinstance(x, (Dataset, DataLoader)), "x", rule, Said(type(x).__name__), TypeError)
        refuse_unknown(kwargs, "x, y, batch_size, nb_epochs and validation_data")
        images = from_array(np.asarray(x, dtype=np.float32))
        require(len(images) > 0, "x", "hold at least one image", 0)
        check_layout(images, self._classifier)
        labels = self._indices(y, len(images))

        sizes = [batch_size] * (len(images) // batch_size) + [len(images) % batch_size] * (len(images) % batch_size > 0)
        if joins_last(self._classifier, self._seen(batch_size), self._seen(sizes[-1]), len(sizes)):
            sizes[-2:] = [sizes[-2] + sizes[-1]]

        def batches(order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
            for rows in torch.randperm(len(images), generator=order).split(sizes):  # type: ignore[no-untyped-call]
                yield images[rows], labels[rows]

        size = {"images": len(images), "batch_size": batch_size}
        watched = (images[:WATCHED], labels[:WATCHED])
        self._train(batches, len(sizes), size, nb_epochs, validation_data, lambda: watched)

    def fit_generator(
        self, generator: Any, nb_epochs: int = 20, validation_data: tuple[Array, Array] | None = None, **kwargs: Any
    ) -> None:
        """:meth:`fit` on the batches of an ART ``DataGenerator``; what it draws itself, a resumed run cannot repeat.

        Of several processes the first draws the batches for all.
        """
        check_counts(nb_epochs=nb_epochs)
        refuse_unknown(kwargs, "generator, nb_epochs and validation_data")
        sized = getattr(generator, "size", None) is not None and hasattr(generator, "get_batch")
        require(sized, "generator", "be an ART DataGenerator with a size", Said(type(generator).__name__), TypeError)
        if isinstance(generator, RandomizedDataGenerator) and self._seen(generator.last_rows) == 1:
            rule = f"have no batch of one image, {WHY} (drop_last=True leaves it out)"
            require(not refuses_one_image(self._classifier), "generator", rule, generator)
        steps = -(-int(generator.size) // int(generator.batch_size))
        rank = world()[0]

        first: list[tuple[Tensor, Tensor]] = []

        def batches(order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
            for _ in range(steps):
                x, y = same_everywhere(generator.get_batch() if rank == 0 else None)
                batch = from_array(np.asarray(x, dtype=np.float32)), self._indices(y, len(x))
                if not first:
                    first.append(tuple(part[:WATCHED].clone() for part in batch))  # type: ignore[arg-type]
                yield batch

        size = {"images": int(generator.size), "batch_size": int(generator.batch_size)}
        self._train(batches, steps, size, nb_epochs, validation_data, lambda: first[0])

    def predict(self, x: Array, **kwargs: Any) -> Array:
        """The classifier's predictions."""
        scores: Array = self._classifier.predict(x, **kwargs)
        return scores

    def _train(
        self,
        batches: Batches,
        steps: int,
        size: dict[str, int],
        nb_epochs: int,
        validation_data: tuple[Array, Array] | None,
        watched: Callable[[], tuple[Tensor, Tensor]],
    ) -> None:
        """Train on ``batches``; ``watched()`` are some of the images, known once there was an epoch."""
        check_trainable(self._classifier)
        options, (rank, processes) = self.options, world()
        folder = None if options.checkpoint is None else check_folder("checkpoint", options.checkpoint)
        nb_epochs = int(nb_epochs)
        run = Run(self._classifier, self.attack, self.pipeline, options, steps, nb_epochs)
        validator = self._validator(validation_data, size["batch_size"])
        settings = {"nb_epochs": nb_epochs, "steps": steps, "processes": processes, "pipeline": repr(self.pipeline)}
        settings |= (
            size | options.settings() | attack_settings(self.attack) | optimizer_settings(self._classifier.optimizer)
        )
        settings["classifier"] = model_settings(run.net)
        settings["preprocessing"] = preprocessing_settings(self._classifier.preprocessing_operations)
        settings["validation_data"] = "none" if validator is None else "given"
        scalars = Scalars(options.log_dir) if options.log_dir is not None and rank == 0 else nullcontext(None)
        hide = not (options.verbose and rank == 0)
        with scalars as writer, run.opened(), tqdm(total=nb_epochs, desc="epochs", disable=hide) as bar:
            self.history = self._resume(run, folder, settings)
            bar.update(len(self.history))
            for epoch in range(len(self.history), nb_epochs):
                row = run.epoch(epoch, batches)
                with run.averaged():
                    # Measured once: processes that measure on their own could disagree in the last bit.
                    row |= same_everywhere(self._measured(row, validator, watched) if rank == 0 else None)
                    self.history.append(row)
                    best = validator is None or row["robust"] >= max(r["robust"] for r in self.history)
                    if best:
                        run.keep_best()
                if folder is not None:
                    self._save(run, folder, settings, best=best)
                if writer is not None:
                    writer.write(epoch, row)
                bar.update()
                bar.set_postfix({name: f"{row[name]:.3f}" for name in SHOWN if name in row})
            run.wear_best()

    def _seen(self, images: int) -> int:
        """How many rows of a batch of so many images the model sees at once, in the process that has the fewest."""
        views = OBJECTIVES[self.options.objective].views if self.options.objective in OBJECTIVES else 1
        return max(images // world()[1], 1) * views

    def _measured(
        self, row: dict[str, float], validator: Validator | None, watched: Callable[[], tuple[Tensor, Tensor]]
    ) -> dict[str, float]:
        """What an epoch comes to, beyond the training's own ``row``; warns of catastrophic overfitting."""
        if validator is not None:
            found, names = validator.measure(), ("robust", "fast")
        elif self.options.objective in ("fast", "free"):
            names = ("train_robust", "train_fast")
            some = self._validator(tuple(part.cpu().numpy() for part in watched()), WATCHED)  # type: ignore[arg-type]
            assert some is not None
            found = {f"train_{name}": value for name, value in some.attacked().items()}
        else:
            return {}
        overfitted = is_overfitted([*self.history, row | found], *names)
        if overfitted:
            warn_of_overfitting(found, *names)
        return found | {"overfitted": float(overfitted)}

    def _validator(self, data: tuple[Array, Array] | None, batch_size: int) -> Validator | None:
        if data is None:
            return None
        pair = isinstance(data, (tuple, list)) and len(data) == 2
        require(pair, "validation_data", "be a pair of images and labels", Said(type(data).__name__))
        x, y = np.ascontiguousarray(data[0], dtype=np.float32), self._indices(data[1], len(data[0])).numpy()
        require(len(x) > 0, "validation_data", "hold at least one image", 0)
        attack, seed = self.attack, self.options.seed
        return Validator(self._classifier, x, y, attack.norm, attack.eps, self.pipeline, seed, batch_size)

    def _indices(self, y: Any, n: int) -> Tensor:
        """Class indices (n,) of labels in any of ART's forms; ValueError for distributions, which would be rounded."""
        rows = class_labels(y, n, self._classifier.nb_classes)
        soft = (rows.amax(1) < 1).nonzero().flatten()
        rule = "hold class indices or one-hot rows"
        require(not len(soft), "y", rule, Said(f"{rows[soft[:1]].flatten().tolist()}"))
        return rows.argmax(1).cpu()

    def _save(self, run: Run, folder: Path, settings: dict[str, Any], *, best: bool) -> None:
        """Write the checkpoint, the best weights first: a run stopped in between makes them again."""
        state = run.state()
        if world()[0] == 0:
            if best:
                row = self.history[-1]
                checkpoint.save(folder, checkpoint.BEST, {"settings": settings, "model": run.best, "row": row})
            checkpoint.save(folder, checkpoint.LAST, {"settings": settings, "history": self.history} | state)
        wait()

    def _resume(self, run: Run, folder: Path | None, settings: dict[str, Any]) -> list[dict[str, float]]:
        wait()
        state = None if folder is None else checkpoint.load(folder, checkpoint.LAST, settings, run.device)
        if state is None:
            return []
        run.load(state)
        history: list[dict[str, float]] = state["history"]
        return history


def check_trainable(classifier: PyTorchClassifier) -> None:
    """ValueError for a classifier that cannot be trained on the device, or whose loss is no mean."""
    own = "train as PyTorchClassifier does (fit_randomized goes through the fit that others have)"
    require(trains_as_pytorch_classifier(classifier), "classifier", own, Said(type(classifier).__name__))
    others = [
        type(operation).__name__
        for operation in classifier.preprocessing_operations
        if not isinstance(operation, PreprocessorPyTorch)
    ]
    rule = "have preprocessing in PyTorch only: wrap a NumPy defence, DifferentiableDefence(defence)"
    require(not others, "classifier", rule, Said(", ".join(others)))
    reduction = getattr(classifier._loss, "reduction", "mean")
    require(reduction != "sum", "classifier", "have a loss that is a mean over the batch", Said(f"{reduction=}"))


def refuse_unknown(arguments: dict[str, Any], known: str) -> None:
    """TypeError for arguments that would be ignored."""
    if arguments:
        raise TypeError(f"got an unexpected keyword argument {sorted(arguments)[0]!r}; it takes {known}")
