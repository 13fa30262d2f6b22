"""Unforeseen adversaries (ImageNet-UA's core set, StAdv, ReColorAdv): DomainAttack against as many random draws.

A forward pass counts one evaluation and a backward pass one more. Models are those of the strength benchmark. Run
``python tests/benchmarks/unforeseen.py --cache FOLDER [--model NAME] [--images 100] [--evaluations 60]``.
"""

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand import DomainAttack, worst_of
from art_domainrand.randomization import imagenet_ua
from art_domainrand.randomization.domains import UNFORESEEN_DOMAINS

from strength_models import load

LEVELS = ("low", "medium", "high")


def main(
    cache: Annotated[Path, typer.Option(help="the folder of trained models")],
    model: Annotated[str, typer.Option(help="one of strength_models.MODELS")] = "digits-pgd",
    images: int = 100,
    evaluations: int = 60,
    level: Annotated[list[str] | None, typer.Option(help="low, medium, high")] = None,
) -> None:
    """Print the share of images still right: clean, after one draw, after the worst draw, after the ascent."""
    torch.set_num_threads(1)
    found = load(model, cache, images=images)
    x, y, estimator = found.test.x, found.test.y, found.estimator
    print(f"{model}, {len(x)} images, {evaluations} evaluations each; clean {found.accuracy(x):.1f}")
    print("| attack | level | coordinates | one draw | worst of as many draws | DomainAttack |")
    print("|---|---|---:|---:|---:|---:|")
    for name in UNFORESEEN_DOMAINS:
        for one in level or LEVELS:
            pipeline = imagenet_ua(name.removeprefix("ua_"), one)
            if not pipeline.takes(x.shape[1]):
                continue
            drawn = [worst_of(estimator, x, y, pipeline, k, seed=0).images for k in (1, evaluations)]
            climbed = DomainAttack(estimator, pipeline, evaluations=evaluations, seed=0, verbose=False).generate(x, y)
            right = " | ".join(f"{found.accuracy(adv):.1f}" for adv in (*drawn, climbed))
            print(f"| `{name}` | {one} | {len(pipeline.parameters)} | {right} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
