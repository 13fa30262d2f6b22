"""One call of an attack on the domain: inputs checked, batches searched one by one, what was found put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from art.config import ART_NUMPY_DTYPE
from art.estimators.classification.pytorch import PyTorchClassifier
from art.estimators.estimator import LossGradientsMixin
from torch import Tensor
from tqdm.auto import tqdm

from art_domainrand.attacks.coordinates import ranged, sloped
from art_domainrand.attacks.engine.aim import Aim
from art_domainrand.attacks.engine.domain_search import Cube, DomainSearch, Ground, Track
from art_domainrand.attacks.engine.gradient_attack import ordinary_autograd, report_tainted
from art_domainrand.attacks.engine.job import call_keys
from art_domainrand.attacks.engine.oracle import Expectation
from art_domainrand.attacks.engine.randomness import is_random
from art_domainrand.attacks.engine.scene import BallAround, Counting, Scene
from art_domainrand.attacks.findings import Findings
from art_domainrand.attacks.options import view_through
from art_domainrand.core import checks as check
from art_domainrand.estimators import Gradients, borrow, is_device_estimator
from art_domainrand.estimators.explaining import explained
from art_domainrand.preprocessors import DomainRandomization


@dataclass(frozen=True)
class Found:
    """What one batch came to: images shown (n, ...), their track, and what was added to the pixels, if anything."""

    images: Tensor
    track: Track
    delta: Tensor | None = None


@dataclass(frozen=True)
class DomainJob:
    """The images ``x`` (N, ...), one-hot or soft labels ``y`` (N, K), and what they are searched with."""

    attack: Any
    source: Counting
    x: Tensor
    y: Tensor
    mask: Tensor | None
    box: tuple[Tensor | None, Tensor | None]
    view: DomainRandomization
    ground: Ground
    keys: Tensor
    expectation: Expectation
    random: bool
    trusted: bool

    @property
    def climbs(self) -> bool:
        """Whether there is a gradient to follow in the draw."""
        return bool(self.ground.slope.any())

    def scene(self, x: Tensor, ids: Tensor, view: DomainRandomization | None, around: BallAround | None) -> Scene:
        """The samples ``ids``, whose images are ``x``, behind ``view``."""
        aim = Aim(self.y[ids], -1 if self.attack.targeted else 1, self.attack.loss)
        keys = self.keys[ids]
        options = {"random": self.random, "batch_size": self.attack.batch_size}
        return Scene(self.source, x, aim, view, around, self.expectation, keys, **options)

    def search(self, scene: Scene, ids: Tensor, mask: Tensor | None = None) -> DomainSearch:
        """A search for the samples ``ids`` in their scene."""
        return DomainSearch(
            scene, self.ground, self.keys[ids], mask, early_stop=self.attack.early_stop and self.trusted
        )

    def judged(self, scene: Scene, search: DomainSearch, delta: Tensor | None = None) -> Found:
        """The images of a finished search.

        They are looked at again where what the steps saw is not quite what is returned: where the steps cannot be
        trusted, and where perturbed pixels were pulled into their ball to the last bit.
        """
        images, best = scene.shown(search.best.point, search.rows, settle=True), search.best
        if not self.trusted or scene.around is not None:
            fooled, margin = scene.oracle.judge(images, search.rows)
            best = Track(best.point, fooled, margin)
        return Found(images, best, delta)


Solve = Callable[[DomainJob, Tensor], tuple[Found, Tensor]]
"""The job and the samples of one batch -> what was found, and NaN for each sample that met a non-finite gradient."""


def find(attack: Any, x: Any, y: Any, mask: Any, solve: Solve, added: str | None = None) -> Findings:
    """Check the inputs, search all batches, and return what was found, as arrays if ``x`` is one."""
    with ordinary_autograd():
        images = check.images(x, ART_NUMPY_DTYPE)
        check.require(images.dim() >= 4, "x", "be images (N, C, H, W)", check.Said(f"shape {tuple(images.shape)}"))
        view = view_of(attack)
        device = attack.estimator.device if is_device_estimator(attack.estimator) else torch.device("cpu")
        if isinstance(x, Tensor):
            images = images.to(device)
        box = check.clip_bounds(attack.estimator.clip_values, tuple(images.shape[1:]), images.device)
        check.check_layout(images, attack.estimator)
        attack._take_pixels(images, *box)
        mask = check.mask_for(mask, images)
        mask = None if mask is None else mask.to(images.device)
        check.require(y is not None or not attack.targeted, "y", "be given for a targeted attack", None)
        if y is not None:
            y = check.class_labels(y, len(images), attack.estimator.nb_classes)
        opened = borrow(attack.estimator, attack.memory_format, attack.autocast, attack.compiler(), summed=True)
        with explained(attack.estimator, images), opened as source:
            job = job_of(attack, source, images, y, mask, box, view)
            parts, tainted = [], []
            for ids in batches_of(attack, len(images), job.source.device):
                found, met = solve(job, ids)
                parts.append(found)
                tainted.append(met)
    if tainted:
        report_tainted(torch.cat(tainted).isnan())
    return together(parts, job, images, isinstance(x, Tensor), added)


def view_of(attack: Any) -> DomainRandomization:
    """The attack's pipeline on images in the estimator's layout and range."""
    clip_values = getattr(attack.estimator, "clip_values", None)
    rule = "have clip_values, which say what range of pixels the pipeline works on"
    check.require(clip_values is not None, "estimator", rule, clip_values)
    view = view_through(attack.pipeline, attack.estimator)
    assert view is not None
    return view


def job_of(
    attack: Any, source: Gradients, x: Tensor, y: Tensor | None, mask: Tensor | None, box: Any, view: Any
) -> DomainJob:
    """The job of ``attack`` on checked inputs; without labels the estimator's own predictions are taken."""
    device = source.device
    if y is None:
        rows = [x[i : i + attack.batch_size].to(device) for i in range(0, len(x), attack.batch_size)]
        scores = (
            torch.cat([source.scores(part) for part in rows])
            if rows
            else torch.zeros(0, 2, dtype=torch.float32, device=device)
        )
        y = torch.nn.functional.one_hot(scores.argmax(1), scores.shape[1]).float()
    random = len(x) > 0 and is_random(source, x, attack.batch_size)
    as_predicted = type(attack.estimator).predict is PyTorchClassifier.predict
    plain = not (random or attack.autocast or attack.compile)
    points = None if attack.points is None else torch.as_tensor(attack.points, dtype=torch.float32)
    several = ranged(view.pipeline)
    smooth = isinstance(attack.estimator, LossGradientsMixin)
    ground = Ground(
        Cube.of(attack.fraction),
        sloped(view, tuple(x.shape[1:])) if smooth else torch.zeros_like(several),
        several,
        view.pipeline.chain.seeded,
        points,
    )
    return DomainJob(
        attack=attack,
        source=Counting(source),
        x=x,
        y=y.to(device),
        mask=None if mask is None else mask.expand(x.shape),
        box=box,
        view=view,
        ground=ground,
        keys=call_keys(x, attack).to(device),
        expectation=Expectation(attack.eot_samples),
        random=random,
        trusted=(as_predicted or not is_device_estimator(attack.estimator))
        and plain
        and not attack.estimator.postprocessing_defences,
    )


def batches_of(attack: Any, n: int, device: torch.device) -> Iterator[Tensor]:
    """The samples of each batch."""
    with progress(n, type(attack).__name__, hidden=not attack.verbose) as bar:
        for start in range(0, n, attack.batch_size):
            ids = torch.arange(start, min(start + attack.batch_size, n), device=device)
            yield ids
            bar.update(len(ids))


@contextmanager
def progress(n: int, name: str, *, hidden: bool) -> Iterator[Any]:
    """A progress bar over ``n`` images."""
    with tqdm(total=n, desc=name, leave=False, disable=hidden) as bar:
        yield bar


def together(parts: list[Found], job: DomainJob, x: Tensor, as_tensor: bool, added: str | None) -> Findings:
    """The findings of all batches."""

    def joined(tensors: list[Tensor], none: Tensor) -> Tensor:
        return torch.cat([t.to(x.device) for t in tensors]) if tensors else none

    def out(tensor: Tensor) -> Any:
        return tensor if as_tensor else tensor.numpy()

    host = torch.device("cpu")
    width = len(job.ground.ranged)
    points = [part.track.point for part in parts]
    u = torch.cat([point.u.to(host) for point in points] or [torch.zeros(0, width, dtype=torch.float32)])
    seeds = torch.cat([point.seeds.to(host) for point in points] or [torch.zeros(0, dtype=torch.int64)])
    changed = [part.delta for part in parts if part.delta is not None]
    return Findings(
        images=out(joined([part.images for part in parts], x)),
        draw=type(job.view.pipeline.sample(0))(u, seeds),
        margins=out(joined([part.track.margin for part in parts], x.new_zeros(0))),
        fooled=out(joined([part.track.fooled for part in parts], torch.zeros(0, dtype=torch.bool))),
        randomization=job.view,
        forwards=job.source.forwards,
        backwards=job.source.backwards,
        delta=out(joined(changed, x.double())) if changed or (added and not parts) else None,
        added=added,
    )
