"""One training run: batches are drawn, attacked and learned from on the device; its whole state can be saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from typing import Any

import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR

from art_domainrand.attacks.arguments import clip_bounds, norm_order
from art_domainrand.attacks.gradient_attack import GradientAttack
from art_domainrand.attacks.pgd import PGD
from art_domainrand.attacks.starts import PrivateGenerator
from art_domainrand.gradients.preprocessing import preprocessing_chain
from art_domainrand.norms import ball
from art_domainrand.preprocessors.domain_randomization import DomainRandomization
from art_domainrand.randomization.pipeline import Pipeline
from art_domainrand.training import checkpoint
from art_domainrand.training.distributed import gathered, shared, summed, world
from art_domainrand.training.objectives import OBJECTIVES, Views
from art_domainrand.training.options import TrainingOptions
from art_domainrand.training.ranges import AutomaticRanges, Ranges
from art_domainrand.training.weights import MovingAverage, perturbed

# One step of fast adversarial training, in units of eps (Wong et al. 2020, section 4).
FAST_STEP = 1.25

Batches = Callable[[torch.Generator], Iterator[tuple[Tensor, Tensor]]]
"""A generator that orders the epoch -> its batches, images and class indices."""


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
        self.preprocess = preprocessing_chain(classifier, fit=True)
        self.view = None if pipeline is None else view_of(classifier, pipeline)
        self.attack = training_attack(attack, options, self.rank)
        self.eps, self.eps_step = self.attack.eps, self.attack.eps_step  # type: ignore[attr-defined]
        self.objective = OBJECTIVES.get(options.objective, OBJECTIVES["madry"])
        self.weight = self.objective.weight if options.weight is None else options.weight
        self.optimizer: torch.optim.Optimizer = classifier.optimizer
        total = max(steps * nb_epochs * (options.replays if options.objective == "free" else 1), 1)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.schedule = (
            CosineAnnealingLR(self.optimizer, total)
            if options.schedule == "cosine"
            else ConstantLR(self.optimizer, factor=1.0)
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=options.autocast == torch.float16)
        self.order = torch.Generator().manual_seed(options.seed)
        self.draws = torch.Generator().manual_seed(options.seed + 1)
        parameters = 0 if pipeline is None else len(pipeline.parameters)
        self.ranges = AutomaticRanges(parameters) if options.automatic_ranges else Ranges(parameters)
        self.average = MovingAverage(self.net, options.ema) if options.ema else None
        self.best: dict[str, Tensor] | None = None
        self.spread: nn.Module = self.net

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Prepare model and optimizer, and give back learning rates, memory format and training flags as found."""
        flags = [(module, module.training) for module in self.net.modules()]
        try:
            if self.options.channels_last:
                self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.spread = shared(self.net)
            yield
        finally:
            self.spread = self.net
            if self.options.channels_last:
                self.net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate
            for module, flag in flags:
                module.training = flag

    def epoch(self, number: int, batches: Batches) -> dict[str, float]:
        """Train for one epoch; return the means of loss and training accuracy, and what the curricula stand at."""
        warm = min(1.0, (number + 1) / (self.options.eps_epochs + 1))
        self.attack.eps, self.attack.eps_step = self.eps * warm, self.eps_step * warm  # type: ignore[attr-defined]
        if not self.options.automatic_ranges:
            self.ranges.warm_up(min(1.0, (number + 1) / (self.options.range_epochs + 1)))
        self.net.train()
        learn = self.learn_free if self.options.objective == "free" else self.learn
        total = torch.zeros(3, device=self.device)
        for x, y in batches(self.order):
            total += learn(x, y)
        loss, hits, images = summed(total).tolist()
        row = {"loss": loss / images, "accuracy": hits / images, "eps_share": warm}
        if self.pipeline is not None:
            row["range"] = float((self.ranges.high - self.ranges.low).mean()) if len(self.ranges.low) else 1.0
        return row

    def learn(self, x: Tensor, y: Tensor) -> Tensor:
        """One step of the optimizer on this process's part of a batch; loss, hits and images as a tensor."""
        views, rows = self.views(x, y)
        share = len(rows) * self.processes / len(x)
        if self.options.awp:
            with perturbed(self.net, self.uphill(views), self.options.awp):
                loss, scores = self.loss(views)
                self.backward(loss * share)
        else:
            loss, scores = self.loss(views)
            self.backward(loss * share)
        self.step()
        hits = scores.argmax(1) == views.y
        if self.pipeline is not None:
            randomized = len(hits) - (len(hits) - len(views.adversarial)) // 2
            self.note(hits[:randomized], rows[:randomized], len(x))
        return torch.stack((loss.detach() * len(rows), hits.sum(), torch.full_like(loss, len(rows)))).detach()

    def learn_free(self, x: Tensor, y: Tensor) -> Tensor:
        """Free adversarial training: every pass over the batch updates weights and examples from one gradient."""
        views, rows = self.views(x, y, attacked=0)
        share = len(rows) * self.processes / len(x)
        low, high = clip_bounds(self.classifier.clip_values, tuple(x.shape[1:]), self.device)
        around = ball(norm_order(self.attack.norm), views.randomized, float(self.attack.eps), low, high)  # type: ignore[attr-defined]
        adv = views.randomized
        total = torch.zeros(3, device=self.device)
        for _ in range(self.options.replays):
            leaf = adv.detach().requires_grad_()
            scores = self.forward(leaf)
            loss = self.loss_of(scores, views.y)
            self.backward(loss * share)
            assert leaf.grad is not None
            self.step()
            adv = around.ascend(adv, leaf.grad.clone(), float(self.attack.eps))  # type: ignore[attr-defined]
            hits = (scores.argmax(1) == views.y).sum()
            total += torch.stack((loss.detach() * len(rows), hits, torch.full_like(loss, len(rows)))).detach()
        return total

    def views(self, x: Tensor, y: Tensor, attacked: float | None = None) -> tuple[Views, Tensor]:
        """This process's part of a batch, randomized and attacked, and which rows of the batch it is."""
        rows = torch.arange(self.rank, len(x), self.processes)
        clean, labels = x[rows].to(self.device, non_blocking=True), y[rows].to(self.device, non_blocking=True)
        if self.options.channels_last and clean.dim() == 4:
            clean = clean.contiguous(memory_format=torch.channels_last)
        seen = [self.randomized(clean, rows, len(x)) for _ in range(self.objective.draws)]
        share = self.objective.attacked if attacked is None else attacked
        count = -(-len(rows) * share // 1)
        targets = seen[0][: int(count)]
        adversarial = self.attack.perturb(targets, labels[: int(count)]) if int(count) else targets
        return Views(clean, seen[0], seen[1] if len(seen) > 1 else None, adversarial, labels), rows

    def randomized(self, clean: Tensor, rows: Tensor, batch: int) -> Tensor:
        """The images under a fresh draw; drawn for the whole batch, so that the number of processes changes nothing."""
        if self.view is None or self.pipeline is None:
            return clean
        draw = self.ranges.place(self.pipeline.sample(batch, self.draws))
        with torch.no_grad():
            return self.view.randomize(clean, draw[rows].to(self.device))

    def forward(self, x: Tensor) -> Tensor:
        """Class scores in training mode, in mixed precision if asked."""
        autocast: AbstractContextManager[Any] = nullcontext()
        if self.options.autocast is not None:
            autocast = torch.autocast(self.device.type, dtype=self.options.autocast)
        inputs, _ = self.preprocess(x, None)
        with autocast:
            outputs = self.spread(inputs)
        scores: Tensor = outputs[-1] if isinstance(outputs, (list, tuple)) else outputs
        return scores.float()

    def loss_of(self, scores: Tensor, y: Tensor) -> Tensor:
        """The classifier's own loss."""
        one_hot = functional.one_hot(y, scores.shape[1]).float()
        loss: Tensor = self.classifier._loss(scores, self.classifier.reduce_labels(one_hot))
        return loss

    def loss(self, views: Views) -> tuple[Tensor, Tensor]:
        """The objective on the views, and the scores its accuracy is taken of."""
        return self.objective.loss(self.forward, views, self.loss_of, self.weight)

    def uphill(self, views: Views) -> dict[str, Tensor]:
        """The gradient of the objective in the weights, by name, averaged over all processes."""
        names, weights = zip(*self.net.named_parameters(), strict=True)
        spread, self.spread = self.spread, self.net
        buffers = {name: value.clone() for name, value in self.net.named_buffers()}
        try:
            gradients = torch.autograd.grad(self.loss(views)[0], weights, allow_unused=True)
        finally:
            self.spread = spread
            with torch.no_grad():  # a look ahead must not count twice in batch normalization
                for name, value in self.net.named_buffers():
                    value.copy_(buffers[name])
        return {n: summed(g) / self.processes for n, g in zip(names, gradients, strict=True) if g is not None}

    def backward(self, loss: Tensor) -> None:
        """Fresh gradients of all weights."""
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self) -> None:
        """Clip, step, move the learning rate and the average on."""
        if self.options.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.net.parameters(), self.options.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        if self.average is not None:
            self.average.update(self.net)

    def note(self, hits: Tensor, rows: Tensor, batch: int) -> None:
        """Tell the ranges which images of the batch were classified correctly, wherever they were trained on."""
        if not self.options.automatic_ranges:
            return
        sizes = [len(range(rank, batch, self.processes)) for rank in range(self.processes)]
        attacked = [-(-size * self.objective.attacked // 1) for size in sizes]
        sizes = [int(size - (size - count) // 2) for size, count in zip(sizes, attacked, strict=True)]
        self.ranges.learn(gathered(hits.float(), sizes), gathered(rows.to(self.device), sizes).cpu())

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Wear the averaged weights, if there are any."""
        with nullcontext() if self.average is None else self.average.worn_by(self.net):
            yield

    def keep_best(self) -> None:
        """Remember the weights the model has on."""
        self.best = {name: value.detach().clone() for name, value in self.net.state_dict().items()}

    def wear_best(self) -> None:
        """Put the remembered weights on."""
        if self.best is not None:
            self.net.load_state_dict(self.best)

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on, in tensors and plain values."""
        stream = self.attack._stream.__getstate__()
        return {
            "model": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else {"values": self.average.values, "steps": self.average.steps},
            "best": self.best,
            "ranges": self.ranges.state(),
            "order": self.order.get_state(),
            "draws": self.draws.get_state(),
            "stream": stream,
            "random": checkpoint.random_state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.net.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.values, self.average.steps = state["average"]["values"], state["average"]["steps"]
        self.best = state["best"]
        self.ranges.load({name: value.cpu() for name, value in state["ranges"].items()})
        self.order.set_state(state["order"].cpu())
        self.draws.set_state(state["draws"].cpu())
        key, stream = state["stream"]["key"], state["stream"]["state"]
        if self.rank == 0 and key is not None:
            self.attack._stream.on(torch.device(key[1]), key[0]).set_state(stream.cpu())
        checkpoint.restore_random_state(state["random"])


def training_attack(attack: GradientAttack, options: TrainingOptions, rank: int) -> GradientAttack:
    """The attack of the training: a copy with a stream of its own, or the one step of fast training."""
    own = copy(attack)
    if options.objective == "fast":
        step = FAST_STEP * attack.eps  # type: ignore[attr-defined]
        own = PGD(attack.estimator, attack.norm, attack.eps, step, max_iter=1, num_random_init=1)  # type: ignore[attr-defined]
    own._stream = PrivateGenerator()
    own.seed, own.autocast = options.seed + rank, options.autocast
    own.batch_size, own.verbose = 2**31, False  # type: ignore[attr-defined]
    return own


def view_of(classifier: PyTorchClassifier, pipeline: Pipeline) -> DomainRandomization:
    """The pipeline on images in the classifier's range and layout."""
    return DomainRandomization(
        pipeline, clip_values=tuple(classifier.clip_values), channels_first=classifier.channels_first, seed=0
    )
