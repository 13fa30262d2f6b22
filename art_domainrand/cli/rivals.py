"""Our attacks and ART's, measured side by side on one model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from art_domainrand.cli.app import leads
from art_domainrand.cli.results import columns
from art_domainrand.evaluation.conditions.kinds import Attacked
from art_domainrand.evaluation.running.attacks import ATTACKS
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.perform import perform
from art_domainrand.evaluation.running.work import in_range_of
from art_domainrand.evaluation.sources import LabelledSource

RIVALS = {
    "fgsm": "art:FastGradientMethod",
    "pgd": "art:ProjectedGradientDescent",
    "autopgd": "art:AutoProjectedGradientDescent",
    "strongest": "art:AutoAttack",
}
"""Our attacks -> ART's for the same purpose. Ours stop at a success; that is part of what is measured."""


@dataclass(frozen=True)
class RivalFigures:
    """What an attack came to.

    :param attack: its name.
    :param robust: the share of images that the model is still right about.
    :param seconds: the median of the runs.
    :param forwards: images that went forward through the model, for each image.
    :param backwards: gradients of images, for each image.
    """

    attack: str
    robust: float
    seconds: float
    forwards: float
    backwards: float


def beside_art(
    estimator: Any,
    data: LabelledSource,
    samples: NDArray[np.int64],
    norm: str,
    eps: float,
    *,
    seed: int,
    batch_size: int,
    repeats: int,
) -> list[RivalFigures]:
    """Measure each of our attacks and ART's, in turn, ``repeats`` times; both are shown only what is right before.

    :param estimator: the model.
    :param data: the images.
    :param samples: places of those that are used.
    :param norm: of the ball.
    :param eps: its radius.
    :param seed: of the attacks.
    :param batch_size: images at a time.
    :param repeats: how often.
    """
    read = data.read(samples)
    x = in_range_of(estimator, read.x) if data.unit else read.x
    block = Block(samples, x, read.y, read.names, seed, batch_size)
    names = [name for pair in RIVALS.items() for name in pair if norm in ATTACKS[name].norms]
    classes = [str(k) for k in range(int(estimator.nb_classes))]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    rows: dict[str, NDArray[Any]] = {}
    turns = [(turn, name) for turn in range(repeats) for name in names]
    for _, name in (bar := tqdm(turns, desc="measuring", unit="run", disable=not leads())):
        bar.set_postfix_str(name)
        condition = Attacked(name, eps, norm)
        start = time.perf_counter()
        rows[name] = perform(estimator, [condition], block, classes=classes).rows
        seconds[name].append(time.perf_counter() - start)
    return [
        RivalFigures(
            name,
            float(rows[name]["right"].mean()),
            median(seconds[name]),
            float(rows[name]["forwards"].mean()),
            float(rows[name]["backwards"].mean()),
        )
        for name in names
    ]


def rivals_table(measured: Sequence[RivalFigures]) -> list[str]:
    """What was measured as lines for a terminal."""
    heads = ["attack", "robust %", "seconds", "forward", "backward"]
    rows = [
        [
            one.attack,
            f"{100 * one.robust:.1f}",
            f"{one.seconds:.2f}",
            *("-" if np.isnan(value) else f"{value:.1f}" for value in (one.forwards, one.backwards)),
        ]
        for one in measured
    ]
    about = "robust: the share of images still right; forward, backward: passes for each image, judging included"
    return [*columns([heads, *rows]), "", about]


def as_record(measured: Sequence[RivalFigures]) -> list[dict[str, Any]]:
    """What was measured as plain data; what cannot be counted is null."""
    return [
        {key: None if isinstance(v, float) and np.isnan(v) else v for key, v in asdict(one).items()} for one in measured
    ]
