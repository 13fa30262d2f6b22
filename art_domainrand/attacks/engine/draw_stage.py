"""A stage that searches the draw of a pipeline, and pixels with it, and the call of an attack that is made of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from art.config import ART_NUMPY_DTYPE
from art.estimators.estimator import LossGradientsMixin
from torch import Tensor

from art_domainrand.attacks.coordinates import ranged, sloped
from art_domainrand.attacks.engine.best import BestSoFar, Which
from art_domainrand.attacks.engine.config import Config
from art_domainrand.attacks.engine.draw_search import Cube, DrawRegion, DrawSearch
from art_domainrand.attacks.engine.gradient_attack import ordinary_autograd
from art_domainrand.attacks.engine.inputs import Inputs, prepare, view_through, with_predictions
from art_domainrand.attacks.engine.search import search
from art_domainrand.attacks.engine.space import BallAround, CountingGradients, DrawSpace, WorstPoints
from art_domainrand.attacks.engine.stage import Way
from art_domainrand.attacks.findings import Findings
from art_domainrand.core import checks as check
from art_domainrand.estimators import is_device_estimator, open_estimator
from art_domainrand.estimators.explaining import explained
from art_domainrand.preprocessors import DomainRandomization
from art_domainrand.randomization.core.transform import Draw


@dataclass(frozen=True)
class WorstDraws:
    """What one batch came to: ``images`` shown (n, ...), their worst points, what was added to pixels, who is tainted.

    ``delta`` is (n, ...) in float64, or None; ``tainted`` (n,) met a gradient that was not finite.
    """

    images: Tensor
    worst: WorstPoints
    tainted: Tensor
    delta: Tensor | None = None


Solve = Callable[["DrawStage", Inputs, Tensor], WorstDraws]
"""The stage, the inputs, and the samples (A,) of one batch -> the worst that was found for them."""


class DrawRun:
    """The run of a :class:`DrawStage` on one batch."""

    consecutive: ClassVar[bool] = True

    def __init__(
        self, inputs: Inputs, stage: DrawStage, best: BestSoFar, which: Which, number: tuple[int, int, int]
    ) -> None:
        self.inputs, self.stage, self.best, self.which = inputs, stage, best, which

    def run(self) -> None:
        """Search, and write down images and draws."""
        which = self.which
        assert isinstance(which, slice)
        found = self.stage.solve(
            self.stage, self.inputs, torch.arange(which.start, which.stop, device=self.inputs.device)
        )
        self.best.offer(which, found.images, found.worst.fooled, found.worst.margin)
        self.best.tainted[which] |= found.tainted
        self.stage.u[which], self.stage.seeds[which] = found.worst.points.u, found.worst.points.seeds
        if self.stage.delta is not None and found.delta is not None:
            self.stage.delta[which] = found.delta.to(self.stage.delta.device)


@dataclass(frozen=True)
class DrawStage:
    """A search for the worst draws of ``view``, batch by batch, which also keeps them: ``u`` (N, P), ``seeds`` (N,).

    ``delta`` (N, ...) is what is added to pixels, None where they stay.
    """

    name: str
    view: DomainRandomization
    region: DrawRegion
    solve: Solve
    u: Tensor
    seeds: Tensor
    delta: Tensor | None
    way: Way = DrawRun
    restarts: int = 1
    early_stop: bool = False
    whole_batches: bool = True
    worthwhile: None = None

    @property
    def climbs(self) -> bool:
        """Whether there is a gradient to follow in the draw."""
        return bool(self.region.slope.any())

    def space(
        self, inputs: Inputs, x: Tensor, ids: Tensor, *, seen: bool = True, around: BallAround | None = None
    ) -> DrawSpace:
        """The space of the samples ``ids`` with images ``x``: behind the view, or with ``seen`` False as they are."""
        evaluator = inputs.evaluator(ids, inputs.criterion(ids, inputs.config.loss))
        return DrawSpace(x, self.view if seen else None, around, evaluator)

    def search(self, inputs: Inputs, space: DrawSpace, ids: Tensor, mask: Tensor | None = None) -> DrawSearch:
        """A search for the samples ``ids`` in their space."""
        early_stop = inputs.config.early_stop and inputs.trusted
        return DrawSearch(space, self.region, inputs.keys_of(ids), mask, early_stop=early_stop)


def judged(inputs: Inputs, search: DrawSearch) -> WorstDraws:
    """The images of a finished search.

    They are looked at again where what the steps saw is not quite what is returned: where the steps cannot be trusted,
    and where perturbed pixels were pulled into their ball to the last bit.
    """
    space, worst = search.space, search.best
    images = space.shown(worst.points, search.rows, settle=True)
    if not inputs.trusted or space.around is not None:
        fooled, margin = space.evaluator.judge(images, search.rows)
        worst = WorstPoints(worst.points, fooled, margin)
    return WorstDraws(images, worst, space.tainted)


def find(attack: Any, x: Any, y: Any, mask: Any, solve: Solve, added: str | None = None) -> Findings:
    """Check the inputs, search, and return what was found, as arrays if ``x`` is one.

    ``added`` is whether pixels are changed "before" or "after" the randomization, or None.
    """
    as_tensor = isinstance(x, Tensor)
    with ordinary_autograd(), ExitStack() as stack:
        images = check.images(x, ART_NUMPY_DTYPE)
        check.require(images.dim() >= 4, "x", "be images (N, C, H, W)", check.Text(f"shape {tuple(images.shape)}"))
        view, config = view_of(attack), Config.of(attack)
        device = attack.estimator.device if is_device_estimator(attack.estimator) else torch.device("cpu")
        images = images.to(device) if as_tensor else images
        source = stack.enter_context(
            open_estimator(attack.estimator, config.memory_format, config.autocast, attack.compiler(), summed=True)
        )
        counting = CountingGradients(source)
        inputs = prepare(attack.estimator, counting, images, y, mask, config)
        attack._warn_of_pixels(inputs.outside)
        stack.enter_context(explained(attack.estimator, images))
        if y is None and len(inputs):
            inputs = with_predictions(inputs, shared=False)
        if len(inputs) and inputs.random is not None:  # asked here, since what is asked before does not count
            counting.forwards = 0
        stage = stage_of(attack, inputs, view, solve, pixels=added is not None)
        best = search(inputs, [stage])

    def out(tensor: Tensor) -> Any:
        return tensor if as_tensor else tensor.cpu().numpy()

    return Findings(
        images=out(best.adv),
        draw=Draw(stage.u.cpu(), stage.seeds.cpu()),
        margins=out(best.margin),
        fooled=out(best.fooled),
        randomization=view,
        forwards=counting.forwards,
        backwards=counting.backwards,
        delta=None if stage.delta is None else out(stage.delta),
        added=added,
    )


def view_of(attack: Any) -> DomainRandomization:
    """The attack's pipeline on images in the estimator's layout and range."""
    clip_values = getattr(attack.estimator, "clip_values", None)
    rule = "have clip_values, which say what range of pixels the pipeline works on"
    check.require(clip_values is not None, "estimator", rule, clip_values)
    view = view_through(attack.pipeline, attack.estimator)
    assert view is not None
    return view


def stage_of(attack: Any, inputs: Inputs, view: DomainRandomization, solve: Solve, *, pixels: bool) -> DrawStage:
    """The stage of an attack on the domain, with room for what it finds."""
    points = None if attack.points is None else torch.as_tensor(attack.points, dtype=torch.float32)
    several, x = ranged(view.pipeline), inputs.x
    smooth = isinstance(attack.estimator, LossGradientsMixin)
    slope = sloped(view, tuple(x.shape[1:])) if smooth else torch.zeros_like(several)
    return DrawStage(
        name=type(attack).__name__,
        view=view,
        region=DrawRegion(Cube.of(attack.fraction), slope, several, view.pipeline.chain.seeded, points),
        solve=solve,
        u=torch.zeros(len(x), len(several), dtype=torch.float32, device=inputs.device),
        seeds=torch.zeros(len(x), dtype=torch.int64, device=inputs.device),
        delta=torch.zeros(x.shape, dtype=torch.float64, device=x.device) if pixels else None,
    )
