"""One training run: batches are drawn, attacked and learned from on the device; its whole state can be saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor, nn
from torch.nn import functional

from art_domainrand.attacks.engine.gradient_attack import GradientAttack
from art_domainrand.core.checks import clip_bounds, norm_order, require, sizes_for
from art_domainrand.core.norms import ball
from art_domainrand.core.pixels import ClipRange
from art_domainrand.preprocessors.domain_randomization import DomainRandomization
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.transform import Draw
from art_domainrand.training import randomness
from art_domainrand.training.data.batches import onto
from art_domainrand.training.trainer.adversary import training_attack
from art_domainrand.training.trainer.distributed import (
    Part,
    agree,
    counted,
    gathered,
    of_everyone,
    shared,
    summed,
    world,
)
from art_domainrand.training.trainer.forward import Forward
from art_domainrand.training.trainer.objectives import OBJECTIVES, Views
from art_domainrand.training.trainer.optimization import Optimization
from art_domainrand.training.trainer.options import TrainingOptions
from art_domainrand.training.trainer.ranges import AutomaticRanges, Ranges
from art_domainrand.training.trainer.weights import perturbed

Batches = Callable[[torch.Generator], Iterator[tuple[Tensor, Tensor]]]
"""A generator that orders the epoch -> its batches, images and class indices."""

# Keeps float16 gradients that are only normalized afterwards from flushing to zero.
HALF_PRECISION_SCALE = 2.0**10


class Run:
    """Trains ``classifier`` for ``nb_epochs`` of ``steps`` batches each; see the trainer for what the options mean."""

    def __init__(
        self,
        classifier: PyTorchClassifier,
        attack: GradientAttack,
        pipeline: Pipeline | None,
        options: TrainingOptions,
        steps: int,
        nb_epochs: int,
    ) -> None:
        self.classifier, self.options, self.pipeline = classifier, options, pipeline
        self.net: nn.Module = classifier.model
        self.device: torch.device = classifier.device
        self.rank, self.processes = world()
        self.streams = randomness.streams_of(classifier)
        self.limits = None if pipeline is None else ClipRange(classifier.clip_values)
        self.view = None if pipeline is None else view_of(classifier, pipeline)
        self.attack: Any = training_attack(attack, options)
        self.eps, self.eps_step = self.attack.eps, self.attack.eps_step
        self.objective = OBJECTIVES.get(options.objective, OBJECTIVES["madry"])
        self.weight = float((self.objective.weight or 0.0) if options.weight is None else options.weight)
        self.optimization = Optimization(
            self.net,
            classifier.optimizer,
            options,
            steps * nb_epochs * (options.replays if options.objective == "free" else 1),
            self.device.type,
        )
        self.order = torch.Generator().manual_seed(randomness.derived_seed(options.seed, randomness.ORDER))
        self.draws = torch.Generator().manual_seed(randomness.derived_seed(options.seed, randomness.DRAWS))
        self.ranges = AutomaticRanges(pipeline) if options.automatic_ranges else Ranges(pipeline)
        self.best: dict[str, Tensor] | None = None
        self.forward = Forward(classifier, options.autocast)
        self.delta: Tensor | None = None  # of free training: goes on from batch to batch

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Prepare model and global generators; give them back as found, as learning rates and training flags are."""
        flags = [(module, module.training) for module in self.net.modules()]
        layouts = [(p, p.stride()) for p in self.net.parameters() if p.dim() == 4]
        try:
            own, branch = randomness.own_randomness, randomness.own_branches
            with own(self.options.seed, self.rank, self.device), branch(self.streams, self.rank):
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

    def epoch(self, number: int, batches: Batches) -> dict[str, float]:
        """Train for one epoch; return the means of loss and training accuracy, and what the curricula stand at."""
        if self.forward.model is self.net:
            self.forward.model = shared(self.net)
        warm = min(1.0, (number + 1) / (self.options.eps_epochs + 1))
        self.attack.eps, self.attack.eps_step = self.eps * warm, self.eps_step * warm
        if not self.options.automatic_ranges:
            self.ranges.warm_up(min(1.0, (number + 1) / (self.options.range_epochs + 1)))
        self.net.train()
        learn = self.learn_free if self.options.objective == "free" else self.learn
        total = torch.zeros(3, dtype=torch.float32, device=self.device)
        for x, y in batches(self.order):
            total += learn(x, y)
        loss, hits, images = summed(total).tolist()
        row = {
            "loss": loss / images,
            "accuracy": hits / images,
            "eps_share": warm,
            "rate_share": self.optimization.rate_share(),
        }
        return row if self.pipeline is None else row | {"range": self.ranges.width}

    def learn(self, x: Tensor, y: Tensor) -> Tensor:
        """One step of the optimizer on this process's part of a batch; loss, hits and images as a tensor."""
        part = Part.of(len(x), self.rank, self.processes)
        views = self.views(x, y, part, self.objective.attacked)
        look_ahead = self.uphill(views, part.share) if self.options.awp else {}
        with perturbed(self.net, look_ahead, self.options.awp):
            loss, scores = self.objective.loss(self.forward, views, self.loss_of, self.weight)
            self.optimization.backward(loss * part.share)
        self.optimization.step()
        hits = scores.argmax(1) == views.y
        self.note(hits, part, len(x), self.objective.attacked)
        return counted(loss, hits, part)

    def learn_free(self, x: Tensor, y: Tensor) -> Tensor:
        """Free adversarial training: every pass over the batch updates weights and examples from one gradient.

        Shafahi et al. 2019, algorithm 1: the perturbation is not reset between batches.
        """
        part = Part.of(len(x), self.rank, self.processes)
        views = self.views(x, y, part, 0.0)
        images, norm = views.randomized, norm_order(self.attack.norm)
        low, high = clip_bounds(self.classifier.clip_values, tuple(x.shape[1:]), self.device)
        eps = sizes_for("eps", self.attack.eps, norm, tuple(images.shape))
        eps = eps.to(self.device) if isinstance(eps, Tensor) else eps
        if self.delta is None or self.delta.shape[1:] != images.shape[1:]:
            self.delta = torch.zeros_like(images)
        if len(self.delta) < len(images):
            self.delta = torch.cat((self.delta, torch.zeros_like(images[len(self.delta) :])))
        around, origin = ball(norm, images, eps, low, high), torch.zeros_like(images)
        near = ball(norm, origin, eps)
        total = torch.zeros(3, dtype=torch.float32, device=self.device)
        for replay in range(self.options.replays):
            delta = self.delta[: len(images)]
            leaf = around.project(images + delta).detach().requires_grad_()
            scores = self.forward(leaf)
            loss = self.loss_of(scores, views.y)
            self.optimization.backward(loss * part.share)
            assert leaf.grad is not None
            uphill = leaf.grad.nan_to_num()  # float16 overflows while its scale settles
            self.optimization.step()
            step = eps.to(images.dtype) if isinstance(eps, Tensor) else eps
            self.delta[: len(images)] = near.ascend(near.project(delta), uphill, step)
            hits = scores.argmax(1) == views.y
            if replay == 0:
                self.note(hits, part, len(x), 1.0)
            total += counted(loss, hits, part)
        return total

    def views(self, x: Tensor, y: Tensor, part: Part, attacked: float) -> Views:
        """This process's part of a batch, randomized, and a share of it attacked."""
        if self.limits is not None:
            self.limits.check(x)  # on the host, where nobody waits for the device
        clean, labels = onto(self.device, x[part.rows]), onto(self.device, y[part.rows])
        if self.options.channels_last and clean.dim() == 4:
            clean = clean.contiguous(memory_format=torch.channels_last)
        seen = [self.randomized(clean, part, len(x)) for _ in range(self.objective.draws)]
        count = math.ceil(len(clean) * attacked)
        targets = seen[0][:count]
        self.attack._round += 1
        adversarial = self.attack.perturb(targets, labels[:count]) if count else targets
        return Views(clean, seen[0], seen[1] if len(seen) > 1 else None, adversarial, labels)

    def randomized(self, clean: Tensor, part: Part, batch: int) -> Tensor:
        """The images under a fresh draw; drawn for the whole batch, so that the number of processes changes nothing."""
        if self.view is None or self.pipeline is None:
            return clean
        draw = self.ranges.place(self.pipeline.sample(batch, self.draws))[part.rows]
        with torch.no_grad():
            return self.view.randomize(clean, Draw(onto(self.device, draw.u), onto(self.device, draw.seeds)))

    def loss_of(self, scores: Tensor, y: Tensor) -> Tensor:
        """The classifier's own loss, a mean."""
        one_hot = functional.one_hot(y, scores.shape[1]).float()
        loss: Tensor = self.classifier._loss(scores, self.classifier.reduce_labels(one_hot))
        return loss.mean()

    def uphill(self, views: Views, share: float) -> dict[str, Tensor]:
        """The gradient of the objective in the weights, by name, averaged over all processes; in scale arbitrary."""
        trained = [(name, weight) for name, weight in self.net.named_parameters() if weight.requires_grad]
        spread, self.forward.model = self.forward.model, self.net
        buffers = [(value, value.clone()) for value in self.net.buffers()]
        scale = HALF_PRECISION_SCALE if self.options.autocast == torch.float16 else 1.0
        try:
            loss, _ = self.objective.loss(self.forward, views, self.loss_of, self.weight)
            gradients = torch.autograd.grad(
                loss * (share * scale), [weight for _, weight in trained], allow_unused=True
            )
        finally:
            self.forward.model = spread
            with torch.no_grad():  # a look ahead must not count twice in batch normalization
                for value, before in buffers:
                    value.copy_(before)
        return {name: summed(g) for (name, _), g in zip(trained, gradients, strict=True) if g is not None}

    def note(self, hits: Tensor, part: Part, batch: int, attacked: float) -> None:
        """Tell the ranges which of the randomized images were classified correctly, wherever they were trained on.

        In a batch that is part adversarial the clean images, of which there may be none, come last.
        """
        if not self.options.automatic_ranges:
            return
        sizes = []
        for rank in range(self.processes):
            images = Part.of(batch, rank, self.processes).images
            sizes.append(images - (images - math.ceil(images * attacked)) // 2)
        own = sizes[self.rank]
        rows = gathered(part.rows[:own].to(self.device), sizes)
        self.ranges.learn(gathered(hits[:own].float(), sizes), rows.cpu())

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Wear the averaged weights, if there are any."""
        average = self.optimization.average
        with nullcontext() if average is None else average.worn_by(self.net):
            yield

    def keep_best(self) -> None:
        """Remember the weights the model has on."""
        self.best = {name: value.detach().clone() for name, value in self.net.state_dict().items()}

    def wear_best(self) -> None:
        """Put the remembered weights on, in all processes the same."""
        if self.best is not None:
            self.net.load_state_dict(self.best)
            agree(self.net)

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on, in tensors and plain values; asked for in all processes at once."""
        own = {
            "round": self.attack._round,
            "radii": getattr(self.attack, "_eps_drawn", 0),
            "random": randomness.random_state(self.device),
            "preprocessors": [randomness.stream_state(s) for s in self.streams],
            "delta": None if self.delta is None else self.delta.cpu(),
        }
        return {
            "model": self.net.state_dict(),
            "optimization": self.optimization.state(),
            "best": self.best,
            "ranges": self.ranges.state(),
            "order": self.order.get_state(),
            "draws": self.draws.get_state(),
            "processes": of_everyone(own),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.net.load_state_dict(state["model"])
        self.optimization.load(state["optimization"])
        self.best = state["best"]
        self.ranges.load({name: value.cpu() for name, value in state["ranges"].items()})
        self.order.set_state(state["order"].cpu())
        self.draws.set_state(state["draws"].cpu())
        own = state["processes"][self.rank]
        self.attack._round, self.attack._eps_drawn = own["round"], own["radii"]
        for stream_of, saved in zip(self.streams, own["preprocessors"], strict=True):
            randomness.restore_stream(stream_of, saved)
        self.delta = None if own["delta"] is None else own["delta"].to(self.device)
        randomness.restore_random_state(own["random"], self.device)


def view_of(classifier: PyTorchClassifier, pipeline: Pipeline) -> DomainRandomization:
    """The pipeline on images in the classifier's range and layout."""
    require(classifier.clip_values is not None, "clip_values", "be given to the classifier for a pipeline", None)
    return DomainRandomization(
        pipeline, clip_values=tuple(classifier.clip_values), channels_first=classifier.channels_first, seed=0
    )
