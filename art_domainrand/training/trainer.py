"""Adversarial and domain-randomized training in one loop on the device, under ART's Trainer interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.defences.trainer.trainer import Trainer
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor
from tqdm.auto import tqdm

from art_domainrand.attacks.arguments import Said, check_counts, class_labels, require
from art_domainrand.attacks.gradient_attack import GradientAttack
from art_domainrand.evaluation.files import check_folder
from art_domainrand.evaluation.run import Array
from art_domainrand.randomization.pipeline import Item, Pipeline
from art_domainrand.training import checkpoint
from art_domainrand.training.distributed import same_everywhere, wait, world
from art_domainrand.training.options import TrainingOptions
from art_domainrand.training.run import Batches, Run
from art_domainrand.training.scalars import Scalars
from art_domainrand.training.validation import Validator, warn_if_overfitted

SHOWN = ("loss", "clean", "robust", "shift")
"""What the progress bar says of an epoch."""


class DomainAdversarialTrainer(Trainer):
    """Train on clean, randomized and adversarial images at once, in one loop that stays on the device.

    Every batch is drawn, attacked and learned from without leaving the device; the attack works on the randomized
    images, so that both kinds of robustness are trained together.

    :param classifier: A ``PyTorchClassifier`` with an optimizer. Its preprocessing runs in training as in ART.
    :param attack: The attack of the training, such as ``PGD(classifier, eps=8/255, eps_step=2/255, max_iter=10)``.
    :param pipeline: What randomizes the images; None trains on the images as they are.
    :param objective: "standard" (half adversarial, a quarter randomized, a quarter clean), "madry" (adversarial only),
        "trades", "mart", "consistency" (AugMix-like agreement of clean image and two draws), "fast" (adversarial only,
        by one step of 1.25 eps from a random start in place of ``attack``'s own; Wong et al. 2020), or "free" (every
        batch ``replays`` times, the gradient of the images taken along with that of the weights; Shafahi et al. 2019).
    :param weight: Of the second term of "trades" (6), "mart" (5) and "consistency" (12).
    :param awp: Size of the adversarial weight perturbation relative to the weights, such as 0.005; 0 for none.
    :param eps_epochs: Epochs over which eps (and eps_step) rise linearly to the attack's.
    :param range_epochs: Epochs over which the pipeline's ranges open from their middles to their full width.
    :param automatic_ranges: Open every range while the accuracy at its boundary holds (automatic domain randomization).
    :param ema: Decay of a moving average of the weights, such as 0.999, which is validated and kept in the end.
    :param schedule: "cosine" brings the optimizer's learning rates to zero over all epochs; "constant".
    :param clip_norm: Largest norm of the gradient of all weights.
    :param autocast: ``torch.bfloat16`` or ``torch.float16`` for training and attack.
    :param channels_last: Run convolutions in that memory format.
    :param seed: Of order, draws and attack: a run with the same seed repeats bit for bit on the same machine.
    :param checkpoint: Folder for ``last.pt`` and ``best.pt``; a run that finds ``last.pt`` there goes on from it.
    :param log_dir: Folder for TensorBoard's scalars; needs tensorboard or tensorboardX.
    :raises ValueError, TypeError: naming the argument, the rule and the value.

    Under ``torchrun`` (an initialized ``torch.distributed``) every process trains on its part of each batch, with draws
    of its own; gradients are averaged, and the first process writes.
    """

    def __init__(
        self, classifier: PyTorchClassifier, attack: Any, *, pipeline: Item | None = None, **options: Any
    ) -> None:
        rule = "be an art.estimators.classification.PyTorchClassifier with an optimizer"
        fits = isinstance(classifier, PyTorchClassifier) and classifier.optimizer is not None
        require(fits, "classifier", rule, Said(type(classifier).__name__), TypeError)
        require(isinstance(attack, GradientAttack), "attack", "be one of this library's", Said(type(attack).__name__))
        require(not attack.targeted, "attack", "be untargeted", Said("a targeted one"))
        super().__init__(classifier)
        self.attack = attack
        self.pipeline = None if pipeline is None else pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)
        try:
            self.options = TrainingOptions(**options)
        except TypeError as error:
            known = list(TrainingOptions.__dataclass_fields__)
            raise TypeError(f"{error}; the options are {known}") from None
        require(
            self.pipeline is not None or not (self.options.automatic_ranges or self.options.range_epochs),
            "pipeline",
            "be given for automatic_ranges and range_epochs",
            None,
        )
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
        :param validation_data: Images and labels on which every epoch is measured: clean, under PGD, under the
            pipeline. With it the weights of the best epoch under PGD are kept in the end, else the last ones.
        """
        check_counts(batch_size=batch_size, nb_epochs=nb_epochs)
        refuse_unknown(kwargs, "x, y, batch_size, nb_epochs and validation_data")
        images = torch.as_tensor(np.asarray(x, dtype=np.float32))
        labels = class_labels(y, len(images), self._classifier.nb_classes).argmax(1)
        processes = world()[1]

        def batches(order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
            for rows in torch.randperm(len(images), generator=order).split(batch_size):  # type: ignore[no-untyped-call]
                yield images[rows], labels[rows]

        require(len(images) >= processes, "x", f"hold at least {processes} images, one for each process", len(images))
        steps = -(-len(images) // batch_size)
        self._train(batches, steps, batch_size, nb_epochs, validation_data)

    def fit_generator(
        self, generator: Any, nb_epochs: int = 20, validation_data: tuple[Array, Array] | None = None, **kwargs: Any
    ) -> None:
        """:meth:`fit` on the batches of an ART ``DataGenerator``; what it draws itself, a resumed run cannot repeat."""
        check_counts(nb_epochs=nb_epochs)
        refuse_unknown(kwargs, "generator, nb_epochs and validation_data")
        require(generator.size is not None, "generator", "have a size", generator.size)
        steps = -(-int(generator.size) // int(generator.batch_size))

        def batches(order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
            for _ in range(steps):
                x, y = generator.get_batch()
                labels = class_labels(y, len(x), self._classifier.nb_classes).argmax(1)
                yield torch.as_tensor(np.asarray(x, dtype=np.float32)), labels

        self._train(batches, steps, int(generator.batch_size), nb_epochs, validation_data)

    def predict(self, x: Array, **kwargs: Any) -> Array:
        """The classifier's predictions."""
        scores: Array = self._classifier.predict(x, **kwargs)
        return scores

    def _train(
        self,
        batches: Batches,
        steps: int,
        batch_size: int,
        nb_epochs: int,
        validation_data: tuple[Array, Array] | None,
    ) -> None:
        options, (rank, _) = self.options, world()
        folder = None if options.checkpoint is None else check_folder("checkpoint", options.checkpoint)
        run = Run(self._classifier, self.attack, self.pipeline, options, steps, nb_epochs)
        validator = self._validator(validation_data, batch_size)
        settings = options.settings() | {"nb_epochs": nb_epochs, "steps": steps, "pipeline": repr(self.pipeline)}
        self.history = self._resume(run, folder, settings)
        scalars = Scalars(options.log_dir) if options.log_dir is not None and rank == 0 else nullcontext(None)
        hide = not (options.verbose and rank == 0)
        with run.opened(), scalars as writer, tqdm(total=nb_epochs, desc="epochs", disable=hide) as bar:
            bar.update(len(self.history))
            for epoch in range(len(self.history), nb_epochs):
                row = run.epoch(epoch, batches)
                with run.averaged():
                    if validator is not None:
                        # Measured once: processes that measure on their own could disagree in the last bit.
                        row |= same_everywhere(validator.measure() if rank == 0 else None)
                    self.history.append(row)
                    best = validator is None or row["robust"] >= max(r["robust"] for r in self.history)
                    if best:
                        run.keep_best()
                if validator is not None and rank == 0:
                    row["overfitted"] = float(warn_if_overfitted(self.history))
                if folder is not None and rank == 0:
                    self._save(run, folder, settings, best=best)
                wait()
                if writer is not None:
                    writer.write(epoch, row)
                bar.update()
                bar.set_postfix({name: f"{row[name]:.3f}" for name in SHOWN if name in row})
            run.wear_best()

    def _validator(self, data: tuple[Array, Array] | None, batch_size: int) -> Validator | None:
        if data is None:
            return None
        require(len(data) == 2, "validation_data", "be a pair of images and labels", Said(f"{len(data)} entries"))
        x, y = data
        labels = class_labels(y, len(x), self._classifier.nb_classes).argmax(1).numpy()
        attack, pipeline = self.attack, self.pipeline
        return Validator(
            self._classifier,
            x,
            labels,
            attack.norm,
            attack.eps,
            pipeline,
            self.options.seed,
            batch_size,
        )

    def _save(self, run: Run, folder: Path, settings: dict[str, Any], *, best: bool) -> None:
        checkpoint.save(folder, checkpoint.LAST, {"settings": settings, "history": self.history} | run.state())
        if best:
            checkpoint.save(folder, checkpoint.BEST, {"settings": settings, "model": run.best, "row": self.history[-1]})

    def _resume(self, run: Run, folder: Path | None, settings: dict[str, Any]) -> list[dict[str, float]]:
        wait()
        state = None if folder is None else checkpoint.load(folder, checkpoint.LAST, settings, run.device)
        if state is None:
            return []
        run.load(state)
        history: list[dict[str, float]] = state["history"]
        return history


def refuse_unknown(arguments: dict[str, Any], known: str) -> None:
    """TypeError for arguments that would be ignored."""
    if arguments:
        raise TypeError(f"got an unexpected keyword argument {sorted(arguments)[0]!r}; it takes {known}")
