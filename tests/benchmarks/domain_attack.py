"""DomainAttack against the worst of as many random draws, at equal model evaluations, on digits.

A forward pass counts one evaluation and a backward pass one more. The model is the demo's, trained on randomized
digits. Run ``python tests/benchmarks/domain_attack.py [--json FILE]``.
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand import CompositeAttack, DomainAttack, worst_of
from art_domainrand.data import digits
from art_domainrand.demo.recipes import Recipe
from art_domainrand.demo.training import train
from art_domainrand.randomization import (
    Brightness,
    Choice,
    Contrast,
    Gamma,
    GaussianBlur,
    GaussianNoise,
    Occlusion,
    OneOf,
    Perspective,
    Pipeline,
    Posterize,
    Rotation,
    Scale,
    Sharpness,
    Shear,
    Sometimes,
    Translation,
)

import measure

BLURRED = OneOf([GaussianBlur((0.1, 1.0)), Occlusion((0.1, 0.15), (0.1, 0.15)), Sharpness()])
STEPS = Choice((-0.06, 0.0, 0.06))
PIPELINES = {
    "slopes": Pipeline(
        [
            Rotation((-15, 15)),
            Scale((0.85, 1.15)),
            Shear((-10, 10), (-10, 10)),
            Translation((-0.08, 0.08), (-0.08, 0.08)),
            Perspective((0.0, 0.1)),
            Contrast((0.7, 1.3)),
            Brightness((-0.1, 0.1)),
            Gamma((0.8, 1.3)),
        ]
    ),
    "mixed": Pipeline(
        [
            Rotation((-15, 15)),
            Scale((0.85, 1.15)),
            Shear((-10, 10), (-10, 10)),
            Translation((-0.06, 0.06), (-0.06, 0.06)),
            BLURRED,
            Contrast((0.6, 1.3)),
            Brightness((-0.1, 0.1)),
            GaussianNoise((0.0, 0.05)),
        ]
    ),
    "switches": Pipeline(
        [
            Sometimes(Rotation((-15, 15))),
            Sometimes(Scale((0.85, 1.15))),
            Sometimes(Shear((-10, 10), (-10, 10))),
            Sometimes(Translation(STEPS, STEPS)),
            OneOf([*BLURRED.transforms, Posterize()]),
            Sometimes(Contrast((0.6, 1.3))),
            Sometimes(GaussianNoise((0.0, 0.05))),
        ]
    ),
}
"""Name -> pipeline: all coordinates have a slope; one choice and a noise among them; gates and choices throughout."""


def compare(seed: int, evaluations: list[int]) -> list[dict[str, Any]]:
    """One row per pipeline and number of evaluations, on a model trained from ``seed``."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    learn, test = digits()
    classifier = train("digits", Recipe(randomized=True), learn, seed)
    rows = []
    for name, pipeline in PIPELINES.items():
        for count in evaluations:
            begin = time.process_time()
            drawn = worst_of(classifier, test.x, test.y, pipeline, count, seed=seed)
            middle = time.process_time()
            attack = DomainAttack(classifier, pipeline, 128, verbose=False, evaluations=count, seed=seed)
            found = attack.find(test.x, test.y)
            end = time.process_time()
            assert drawn.evaluations == found.evaluations == count
            rows.append(
                {
                    "pipeline": f"{name}, {len(pipeline.parameters)} parameters",
                    "evaluations": count,
                    "seed": seed,
                    "forwards": found.forwards / len(test),
                    "random, accuracy %": 100 * (1 - float(drawn.fooled.mean())),
                    "attack, accuracy %": 100 * (1 - float(found.fooled.mean())),
                    "random, margin": float(drawn.margins.mean()),
                    "attack, margin": float(found.margins.mean()),
                    "random, s": middle - begin,
                    "attack, s": end - middle,
                }
            )
    return rows


def composite(seed: int, eps: float) -> list[dict[str, Any]]:
    """The orders of CompositeAttack, at a third of the ranges of "mixed"."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    learn, test = digits()
    classifier = train("digits", Recipe(randomized=True), learn, seed)
    rows = []
    for order in ("domain_first", "pixels_first", "joint"):
        attack = CompositeAttack(
            classifier,
            PIPELINES["mixed"],
            eps=eps,
            batch_size=128,
            verbose=False,
            order=order,
            fraction=1 / 3,
            seed=seed,
        )
        found = attack.find(test.x, test.y)
        accuracy = 100 * (1 - float(found.fooled.mean()))
        rows.append({"order": order, "seed": seed, "accuracy %": accuracy, "margin": float(found.margins.mean())})
    return rows


def over_seeds(rows: list[dict[str, Any]], keys: list[str]) -> list[dict[str, Any]]:
    """Means over the rows that agree in ``keys``."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    means = []
    for group in groups.values():
        numbers = [key for key in group[0] if key not in (*keys, "seed")]
        means.append(
            {key: group[0][key] for key in keys} | {key: statistics.mean(row[key] for row in group) for key in numbers}
        )
    return means


def main(
    evaluations: Annotated[list[int], typer.Option(help="model evaluations per image")] = [10, 20, 50, 100],  # noqa: B006
    seeds: int = 3,
    eps: Annotated[float, typer.Option(help="L-inf budget of CompositeAttack")] = 0.02,
    json: Annotated[Path | None, typer.Option(help="also write the tables here")] = None,
) -> None:
    """Print accuracy and mean margin under both, means over the seeds."""
    torch.set_num_threads(1)
    rows = [row for seed in range(seeds) for row in compare(seed, evaluations)]
    both = [row for seed in range(seeds) for row in composite(seed, eps)]
    about = measure.surroundings(torch.device("cpu")) | {"seeds": seeds, "images": 397, "eps": eps}
    print(about)
    measure.print_table(over_seeds(rows, ["pipeline", "evaluations"]))
    print()
    measure.print_table(over_seeds(both, ["order"]))
    measure.write(json, {"about": about, "rows": rows, "composite": both})


if __name__ == "__main__":
    typer.run(main)
