"""One training run: the loop over an epoch's batches, on the device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from art_domainrand.core.global_rng import preserved_global_rng, seed_global_rng
from art_domainrand.core.labels import correct
from art_domainrand.core.random import EPOCH, GLOBAL, META, seed_of
from art_domainrand.estimators.training import training_loss
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.training.data.epochs import Samples
from art_domainrand.training.learned.gradient import LearnedBatch
from art_domainrand.training.streams import own_branches, streams_of
from art_domainrand.training.trainer.distributed import (
    Shard,
    all_gather,
    all_gather_object,
    all_reduce,
    broadcast_model,
    data_parallel,
    rank_and_world_size,
    totals,
)
from art_domainrand.training.trainer.forward import TrainingScores
from art_domainrand.training.trainer.free import FreePerturbation
from art_domainrand.training.trainer.objectives import OBJECTIVES, Views
from art_domainrand.training.trainer.optimization import Optimization
from art_domainrand.training.trainer.options import TrainingOptions
from art_domainrand.training.trainer.ranges import Ranges
from art_domainrand.training.trainer.views import ViewMaker
from art_domainrand.training.trainer.weights import perturbed

# Keeps float16 gradients that are only normalized afterwards from flushing to zero.
HALF_PRECISION_SCALE = 2.0**10


class TrainingRun:
    """Trains ``classifier`` for ``nb_epochs`` of ``steps`` batches each; see the trainer for what the options mean.

    ``attack`` is the run's own, see :func:`training_attack`.
    """

    def __init__(
        self,
        classifier: PyTorchClassifier,
        attack: Any,
        pipeline: Pipeline | None,
        options: TrainingOptions,
        steps: int,
        nb_epochs: int,
        ranges: Ranges,
    ) -> None:
        self.classifier, self.options = classifier, options
        self.net: nn.Module = classifier.model
        self.device: torch.device = classifier.device
        self.rank, self.world_size = rank_and_world_size()
        self.streams = streams_of(classifier)
        self.views = ViewMaker(classifier, attack, pipeline, options, ranges)
        self.ranges = ranges
        self.objective = OBJECTIVES.get(options.objective, OBJECTIVES["madry"])
        self.weight = float((self.objective.weight or 0.0) if options.weight is None else options.weight)
        free = options.objective == "free"
        self.free = FreePerturbation(classifier, self.views.attack) if free else None
        passes = steps * nb_epochs * (options.replays if free else 1)
        self.optimization = Optimization(self.net, classifier.optimizer, options, passes, self.device.type)
        self.best: dict[str, Tensor] | None = None
        self.forward = TrainingScores(classifier, options.autocast)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Prepare model and global generators; give them back as found, as learning rates and training flags are."""
        flags = [(module, module.training) for module in self.net.modules()]
        layouts = [(p, p.stride()) for p in self.net.parameters() if p.dim() == 4]
        try:
            with preserved_global_rng(self.device), own_branches(self.streams, self.rank):
                if self.options.channels_last:
                    self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                yield
        finally:
            self.forward.model = self.net
            for parameter, strides in layouts if self.options.channels_last else ():
                as_was = torch.empty_strided(parameter.shape, strides, dtype=parameter.dtype, device=parameter.device)
                parameter.data = as_was.copy_(parameter.data)
            self.optimization.give_back()
            for module, flag in flags:
                module.training = flag

    def epoch_seed(self, number: int) -> int:
        """The seed of an epoch, of which all that is drawn in it is a function: a resumed run needs no other state."""
        return seed_of(self.options.seed, EPOCH, number)

    def epoch(self, number: int, batches: Iterable[Samples]) -> dict[str, float]:
        """Train on an epoch's batches; return means of loss and training accuracy, and what the curricula stand at."""
        if self.forward.model is self.net:
            self.forward.model = data_parallel(self.net)
        seed = self.epoch_seed(number)
        # Dropout and the like know no other generators: so a run repeats, and its processes drop different units.
        seed_global_rng(seed_of(seed, GLOBAL, self.rank), self.device)
        warm = self.views.begin_epoch(number, seed)
        self.net.train()
        learn = self.learn if self.free is None else self.learn_free
        total = torch.zeros(3, dtype=torch.float32, device=self.device)
        for samples in batches:
            total += learn(samples)
        loss, hits, images = all_reduce(total).tolist()
        self.ranges.end_epoch()
        row = {
            "loss": loss / images,
            "accuracy": hits / images,
            "eps_share": warm,
            "rate_share": self.optimization.rate_share(),
        }
        return row if self.views.pipeline is None else row | self.ranges.report()

    def learn(self, samples: Samples) -> Tensor:
        """One step of the optimizer on this process's rows of a batch; loss, hits and images as a tensor."""
        shard = Shard.of(len(samples.keys), self.rank, self.world_size)
        views = self.views.make(samples, self.objective.draws, self.objective.attacked)
        look_ahead = self.uphill(views, shard.share) if self.options.awp else {}
        with perturbed(self.net, look_ahead, self.options.awp):
            loss, scores = self.objective.loss(self.forward, views, self.loss_of, self.weight)
            self.optimization.backward(loss * shard.share)
        self.optimization.step()
        self.note(scores, views.y, samples, self.objective.attacked)
        if self.ranges.follows:
            self.ranges.follow(self.learned_batch(views, shard.share))
        return totals(loss, correct(scores, views.y), shard)

    def learn_free(self, samples: Samples) -> Tensor:
        """Free adversarial training (Shafahi et al. 2019, algorithm 1) on this process's rows of a batch."""
        assert self.free is not None
        shard = Shard.of(len(samples.keys), self.rank, self.world_size)
        views = self.views.make(samples, self.objective.draws, 0.0)
        images = views.randomized
        self.free.begin(images)
        total = torch.zeros(3, dtype=torch.float32, device=self.device)
        for replay in range(self.options.replays):
            leaf = self.free.shown(images)
            scores = self.forward(leaf)
            loss = self.loss_of(scores, views.y)
            self.optimization.backward(loss * shard.share)
            assert leaf.grad is not None
            self.free.climb(leaf.grad)
            self.optimization.step()
            hits = correct(scores, views.y)
            if replay == 0:
                self.note(scores, views.y, samples, 1.0)
            total += totals(loss, hits, shard)
        return total

    def loss_of(self, scores: Tensor, y: Tensor) -> Tensor:
        """The classifier's own loss, a mean."""
        one_hot = functional.one_hot(y, scores.shape[1]).float()
        return training_loss(self.classifier, scores, one_hot).mean()

    def uphill(self, views: Views, share: float) -> dict[str, Tensor]:
        """The gradient of the objective in the weights, by name, averaged over all processes; in scale arbitrary."""
        trained = [(name, weight) for name, weight in self.net.named_parameters() if weight.requires_grad]
        parallel, self.forward.model = self.forward.model, self.net
        buffers = [(value, value.clone()) for value in self.net.buffers()]
        scale = HALF_PRECISION_SCALE if self.options.autocast == torch.float16 else 1.0
        try:
            loss, _ = self.objective.loss(self.forward, views, self.loss_of, self.weight)
            gradients = torch.autograd.grad(
                loss * (share * scale), [weight for _, weight in trained], allow_unused=True
            )
        finally:
            self.forward.model = parallel
            with torch.no_grad():  # a look ahead must not count twice in batch normalization
                for value, before in buffers:
                    value.copy_(before)
        return {name: all_reduce(g) for (name, _), g in zip(trained, gradients, strict=True) if g is not None}

    def losses(self, weights: dict[str, Tensor], images: Tensor, y: Tensor) -> Tensor:
        """The cross-entropy of each image (B,) at other ``weights``, which leaves the model as it is.

        What is random in the classifier draws the same in every call until the next step, and draws on as if there had
        been none: else differences of two losses would be those of two draws.
        """
        parallel, streams = self.forward.model, [stream.state() for stream in self.streams]
        buffers = {name: value.detach().clone() for name, value in self.net.named_buffers()}
        self.forward.model = partial(functional_call, self.net, (weights, buffers))  # type: ignore[assignment]
        try:
            with preserved_global_rng(self.device):
                return functional.cross_entropy(self.forward(images), y, reduction="none")
        finally:
            self.forward.model = parallel
            for stream, before in zip(self.streams, streams, strict=True):
                stream.restore(before)

    def learned_batch(self, views: Views, share: float) -> LearnedBatch:
        """What ranges that follow a gradient are shown of the batch that was just learned from."""
        randomization = self.views.randomization
        assert randomization is not None
        assert self.views.even is not None
        # An attack on the domain starts from clean images, and adds nothing to randomized ones.
        start = views.randomized[: len(views.adversarial)] if "eps" in self.views.reach else views.adversarial
        attacked = views.adversarial - start
        return LearnedBatch(
            clean=views.clean,
            y=views.y,
            draw=self.views.even,
            perturbation=attacked.detach(),
            randomize=randomization.randomize,
            losses=self.losses,
            weights={name: weight for name, weight in self.net.named_parameters() if weight.requires_grad},
            rate=self.optimization.optimizer.param_groups[0]["lr"],
            share=share,
            key=seed_of(self.options.seed, META, self.optimization.done),
        )

    def note(self, scores: Tensor, y: Tensor, samples: Samples, attacked: float) -> None:
        """Tell the ranges how the randomized images were classified, wherever they were trained on.

        In a batch that is part adversarial the clean images, of which there may be none, come last.
        """
        if self.ranges.learns_from is None:
            return
        hits = self.ranges.learns_from == "hits"
        values = correct(scores, y) if hits else functional.cross_entropy(scores.detach(), y, reduction="none")
        shards = [Shard.of(len(samples.keys), rank, self.world_size).images for rank in range(self.world_size)]
        share = attacked or 1.0  # without an attack all scores are those of randomized images
        sizes = [images - (images - math.ceil(images * share)) // 2 for images in shards]
        own = sizes[self.rank]
        rows = all_gather(samples.rows[:own].to(self.device), sizes)
        self.ranges.learn(all_gather(values[:own].float(), sizes), rows.cpu())

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the model have the averaged weights, if there are any, inside the ``with`` block."""
        average = self.optimization.average
        with nullcontext() if average is None else average.applied_to(self.net):
            yield

    def keep_best(self) -> None:
        """Remember the weights the model has now."""
        self.best = {name: value.detach().clone() for name, value in self.net.state_dict().items()}

    def load_best(self) -> None:
        """Give the model the remembered weights, in all processes the same."""
        if self.best is not None:
            self.net.load_state_dict(self.best)
            broadcast_model(self.net)

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on, in tensors and plain values; asked for in all processes at once."""
        delta = None if self.free is None or self.free.delta is None else self.free.delta.cpu()
        own = {"preprocessors": [stream.state() for stream in self.streams], "delta": delta}
        return {
            "model": self.net.state_dict(),
            "optimization": self.optimization.state(),
            "best": self.best,
            "ranges": self.ranges.state(),
            "processes": all_gather_object(own),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.net.load_state_dict(state["model"])
        self.optimization.load(state["optimization"])
        self.best = state["best"]
        self.ranges.load({name: value.cpu() for name, value in state["ranges"].items()})
        own = state["processes"][self.rank]
        for stream, saved in zip(self.streams, own["preprocessors"], strict=True):
            stream.restore(saved)
        if self.free is not None:
            self.free.delta = None if own["delta"] is None else own["delta"].to(self.device)
