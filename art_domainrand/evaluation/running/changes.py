"""Conditions that change images without looking at the model: corruptions, domains, pipelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from art_domainrand.core.random import CORRUPT, DOMAIN, SHIFT, keys_of
from art_domainrand.evaluation.conditions.kinds import Corrupted, InDomain, Randomized
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.passes import Passes
from art_domainrand.evaluation.running.performance import Changed, Draws, Performance, spelt_out
from art_domainrand.evaluation.running.unit_images import from_unit_images, to_unit_images
from art_domainrand.randomization import Pipeline, corrupt, preset
from art_domainrand.randomization.core.coordinates import described
from art_domainrand.randomization.core.sampling import keyed_draws
from art_domainrand.randomization.domains.mapping import domain_pipeline


def change_by(performance: Performance, block: Block, change: Callable[[Tensor, Tensor], Tensor]) -> Changed:
    """A block whose images ``change`` makes, a batch of them in [0, 1] at a time, from them and their place in it."""
    unit = to_unit_images(performance.estimator, block.x)
    rows = torch.arange(len(block)).split(block.batch_size)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        parts = [change(unit[some], some).clamp(0, 1) for some in rows]
    images = from_unit_images(performance.estimator, torch.cat(parts) if parts else unit)
    return Changed(images, block.x, Passes.none(len(block)))


def draw_by(
    performance: Performance, block: Block, pipeline: Pipeline, purpose: int, draw: int | None, said: str = ""
) -> Changed:
    """A block under one draw of a pipeline, keyed by the seed, the purpose, the samples' places and the draw."""
    number = () if draw is None else (draw,)
    keys = keys_of(block.seed, purpose, torch.as_tensor(block.samples), *performance.path, *number)
    drawn = keyed_draws(pipeline, keys)
    found = change_by(performance, block, lambda unit, rows: pipeline.apply(unit, drawn[rows]))

    def words(place: int) -> str:
        return spelt_out(said, described(pipeline.chain, drawn.u[place]))

    return Changed(found.images, found.given, found.passes, words)


def corrupt_all(performance: Performance, family: Sequence[Corrupted], block: Block) -> list[Draws]:
    """A common corruption; with the seed, an image has the same random numbers in all of them."""
    return [[_corrupted(performance, condition, block)] for condition in family]


def _corrupted(performance: Performance, condition: Corrupted, block: Block) -> Changed:
    seeds = keys_of(block.seed, CORRUPT, torch.as_tensor(block.samples), *performance.path)
    name, severity = condition.corruption, condition.severity
    found = change_by(performance, block, lambda unit, rows: corrupt(unit, name, severity, seeds[rows]))
    said = f"{name.replace('_', ' ')} at severity {severity}"
    return Changed(found.images, found.given, found.passes, lambda place: said)


def map_all(performance: Performance, family: Sequence[InDomain], block: Block) -> list[Draws]:
    """Images mapped into a domain."""
    return [
        [
            draw_by(
                performance,
                block,
                domain_pipeline(condition.domain, condition.severity),
                DOMAIN,
                None,
                f"domain {condition.called} at severity {condition.severity}",
            )
        ]
        for condition in family
    ]


def draw_all(performance: Performance, family: Sequence[Randomized], block: Block) -> list[Draws]:
    """Images under several draws of a pipeline."""
    return [
        [draw_by(performance, block, pipeline_of(condition.pipeline), SHIFT, draw) for draw in range(condition.draws)]
        for condition in family
    ]


def pipeline_of(pipeline: Pipeline | str) -> Pipeline:
    """A pipeline, or the preset of that name."""
    return preset(pipeline) if isinstance(pipeline, str) else pipeline
