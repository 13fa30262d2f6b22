"""One call of an attack on the domain: inputs checked, batches searched one by one, what was found put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from art.config import ART_NUMPY_DTYPE
from art.estimators.estimator import LossGradientsMixin
from torch import Tensor
from tqdm.auto import tqdm

from art_domainrand.attacks.coordinates import ranged, sloped
from art_domainrand.attacks.engine.config import Config
from art_domainrand.attacks.engine.domain_search import Cube, DomainSearch, Ground, Track
from art_domainrand.attacks.engine.evaluator import Expectation
from art_domainrand.attacks.engine.gradient_attack import ordinary_autograd
from art_domainrand.attacks.engine.inputs import Inputs, prepare, view_through, with_predictions
from art_domainrand.attacks.engine.scene import BallAround, Counting, Scene
from art_domainrand.attacks.engine.search import report_tainted
from art_domainrand.attacks.findings import Findings
from art_domainrand.core import checks as check
from art_domainrand.estimators import borrow, is_device_estimator
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
    inputs: Inputs
    source: Counting
    view: DomainRandomization
    ground: Ground

    @property
    def climbs(self) -> bool:
        """Whether there is a gradient to follow in the draw."""
        return bool(self.ground.slope.any())

    def scene(self, x: Tensor, ids: Tensor, view: DomainRandomization | None, around: BallAround | None) -> Scene:
        """The samples ``ids``, whose images are ``x``, behind ``view``."""
        inputs = self.inputs
        criterion = inputs.criterion(ids, inputs.config.loss)
        return Scene(
            self.source,
            x,
            criterion,
            view,
            around,
            Expectation(inputs.config.eot_samples),
            inputs.keys_of(ids),
            random=inputs.random,
            batch_size=inputs.config.batch_size,
        )

    def search(self, scene: Scene, ids: Tensor, mask: Tensor | None = None) -> DomainSearch:
        """A search for the samples ``ids`` in their scene."""
        early_stop = self.inputs.config.early_stop and self.inputs.trusted
        return DomainSearch(scene, self.ground, self.inputs.keys_of(ids), mask, early_stop=early_stop)

    def judged(self, scene: Scene, search: DomainSearch, delta: Tensor | None = None) -> Found:
        """The images of a finished search.

        They are looked at again where what the steps saw is not quite what is returned: where the steps cannot be
        trusted, and where perturbed pixels were pulled into their ball to the last bit.
        """
        images, best = scene.shown(search.best.point, search.rows, settle=True), search.best
        if not self.inputs.trusted or scene.around is not None:
            fooled, margin = scene.evaluator.judge(images, search.rows)
            best = Track(best.point, fooled, margin)
        return Found(images, best, delta)


Solve = Callable[[DomainJob, Tensor], tuple[Found, Tensor]]
"""The job and the samples of one batch -> what was found, and NaN for each sample that met a non-finite gradient."""


def find(attack: Any, x: Any, y: Any, mask: Any, solve: Solve, added: str | None = None) -> Findings:
    """Check the inputs, search all batches, and return what was found, as arrays if ``x`` is one."""
    with ordinary_autograd():
        images = check.images(x, ART_NUMPY_DTYPE)
        check.require(images.dim() >= 4, "x", "be images (N, C, H, W)", check.Said(f"shape {tuple(images.shape)}"))
        view, config = view_of(attack), Config.of(attack)
        device = attack.estimator.device if is_device_estimator(attack.estimator) else torch.device("cpu")
        images = images.to(device) if isinstance(x, Tensor) else images
        opened = borrow(attack.estimator, config.memory_format, config.autocast, attack.compiler(), summed=True)
        with opened as source:
            counting = Counting(source)
            inputs = prepare(attack.estimator, counting, images, y, mask, config)
            attack._warn_of_pixels(inputs.outside)
            with explained(attack.estimator, images):
                if y is None and len(inputs):
                    inputs = with_predictions(inputs, shared=False)
                if len(inputs) and inputs.random is not None:  # asked here, since what is asked before does not count
                    counting.forwards = 0
                job = job_of(attack, inputs, counting, view)
                parts, tainted = [], []
                for ids in batches_of(inputs, type(attack).__name__):
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


def job_of(attack: Any, inputs: Inputs, counting: Counting, view: DomainRandomization) -> DomainJob:
    """The job of ``attack`` on its inputs."""
    points = None if attack.points is None else torch.as_tensor(attack.points, dtype=torch.float32)
    several = ranged(view.pipeline)
    smooth = isinstance(attack.estimator, LossGradientsMixin)
    ground = Ground(
        Cube.of(attack.fraction),
        sloped(view, tuple(inputs.x.shape[1:])) if smooth else torch.zeros_like(several),
        several,
        view.pipeline.chain.seeded,
        points,
    )
    return DomainJob(attack, inputs, counting, view, ground)


def batches_of(inputs: Inputs, name: str) -> Iterator[Tensor]:
    """The samples of each batch."""
    with progress(len(inputs), name, hidden=not inputs.config.verbose) as bar:
        for rows in inputs.batches():
            yield torch.arange(rows.start, rows.stop, device=inputs.device)
            bar.update(rows.stop - rows.start)


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
