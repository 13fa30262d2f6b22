"""Expectation over draws: a defence that turns every input at random, under EOT-PGD, ours and ART's.

Run ``python tests/benchmarks/strength_random.py [--cache FOLDER] [--models digits-random] [--images N] [--seeds N]
[--budgets quick,standard] [--json FILE]`` for AutoAttack's version "rand" (its authors' code) beside StrongestAttack,
both with as many draws for each gradient, on networks whose input is random by themselves.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.estimators.classification import PyTorchClassifier
from art.preprocessing.expectation_over_transformation import EoTImageRotationPyTorch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand import PGD, DomainRandomization, StrongestAttack
from art_domainrand import randomization as R  # noqa: N812

import measure
import strength_models as models
from measure import timed
from strength_models import INF, Model, classifier
from strength_standard import Outcome, autoattack, measured, ours_adv

Row = dict[str, Any]
ANGLES = 30.0
PREDICTIONS = 20
AUTOATTACK_DRAWS = 20  # for each gradient of its version "rand"
HALF = {"autocast": torch.bfloat16, "memory_format": "channels_last"}


def random_input(model: Model, counts: list[int], seeds: int) -> list[Row]:
    """A defence that turns every input at random, under EOT-PGD, ours and ART's, with 1 to 64 draws a step."""
    n = min(len(model.test), 200)
    x, y = model.test.x[:n], model.test.y[:n]
    rotation = R.Pipeline([R.Rotation((-ANGLES, ANGLES))])
    defended = classifier(
        model.net, model.test, DomainRandomization(rotation, apply_predict=True, apply_fit=False, seed=0)
    )
    options = {"eps": model.eps, "eps_step": model.eps / 4, "max_iter": 20, "batch_size": n, "verbose": False}

    def accuracy(adv: Any) -> float:
        hits = [(defended.predict(adv).argmax(1) == y).mean() for _ in range(PREDICTIONS)]
        return 100 * float(np.mean(hits))

    def ours(count: int, seed: int, **more: Any) -> Any:
        return PGD(defended, eot_samples=count, seed=seed, **options, **more).generate(x, y)

    def theirs(count: int, seed: int) -> Any:
        np.random.seed(seed)
        return ProjectedGradientDescentPyTorch(eot_classifier(model, count), **options).generate(x, y)

    sides: dict[str, Callable[[int, int], Any]] = {
        "ours": ours,
        "ours, bfloat16, channels_last": lambda count, seed: ours(count, seed, **HALF),
        "ART's EoTImageRotation": theirs,
    }
    rows = [{"attack": "none", "draws": 0, "seed": 0, "robust %": accuracy(x), "seconds": 0.0}]
    for count, seed in ((count, seed) for count in counts for seed in range(seeds)):
        for name, run in sides.items():
            adv, seconds = timed(lambda run=run, count=count, seed=seed: run(count, seed))
            rows.append({"attack": name, "draws": count, "seed": seed, "robust %": accuracy(adv), "seconds": seconds})
            print(rows[-1], flush=True)
    return rows


def eot_classifier(model: Model, count: int) -> PyTorchClassifier:
    """The same network behind ART's expectation over rotations."""
    transform = EoTImageRotationPyTorch(
        nb_samples=count, clip_values=(0, 1), angles=(-ANGLES, ANGLES), apply_predict=True
    )
    return PyTorchClassifier(
        model.net,
        nn.CrossEntropyLoss(),
        model.test.x.shape[1:],
        10,
        clip_values=(0, 1),
        preprocessing_defences=transform,
        device_type="gpu" if model.x.is_cuda else "cpu",
    )


def variance(model: Model, draws: int = 16, repeats: int = 64) -> list[Row]:
    """The variance of the mean gradient over 16 draws by how they are drawn, against independent ones."""
    pipeline = R.Pipeline([R.Rotation((-ANGLES, ANGLES)), R.Translation(), R.Brightness(), R.Contrast()])
    view = DomainRandomization(pipeline)
    x, y = model.x[:32], model.y[:32]
    rows = []
    for method in ("uniform", "antithetic", "sobol", "stratified"):
        generator = torch.Generator(x.device).manual_seed(0)
        gradients = []
        for _ in range(repeats):
            leaf = x.clone().requires_grad_()
            draw = pipeline.sample(len(x) * draws, generator, method=method)
            scores = model.net(view.randomize(leaf.repeat_interleave(draws, 0), draw))
            loss = nn.functional.cross_entropy(scores, y.repeat_interleave(draws), reduction="sum") / draws
            gradients.append(torch.autograd.grad(loss, leaf)[0])
        spread = torch.stack(gradients).var(dim=0).flatten(1).sum(1)
        rows.append({"draws": method, "variance": spread})
    base = rows[0]["variance"]
    ratios = [(row["variance"] / base) for row in rows]
    return [
        {"draws": row["draws"], "variance, of uniform's (median image)": float(ratio.median())}
        for row, ratio in zip(rows, ratios, strict=True)
    ]


def rand(model: Model, budgets: list[str], seeds: int) -> Iterator[Outcome]:
    """AutoAttack's version for networks that draw at random, then ours, with as many draws for each gradient."""
    yield from autoattack(model, INF)
    for budget, seed in ((budget, seed) for budget in budgets for seed in range(seeds)):
        options = {"budget": budget, "seed": seed, "eot_samples": AUTOATTACK_DRAWS, "verbose": False}
        attack = StrongestAttack(model.estimator, eps=model.eps, batch_size=len(model.x), **options)
        torch.manual_seed(seed)
        name = f"StrongestAttack {budget}, seed {seed}"
        yield measured(name, model, INF, lambda attack=attack: ours_adv(attack, model))


def main(
    cache: Annotated[Path | None, typer.Option(help="keep trained models here")] = None,
    names: Annotated[str, typer.Option("--models", help="of strength_models.MODELS")] = "digits-random",
    images: Annotated[int, typer.Option(help="of each model, the first ones")] = 100,
    seeds: Annotated[int, typer.Option(help="of ours")] = 2,
    budgets: Annotated[str, typer.Option(help="of ours")] = "quick,standard",
    json: Annotated[Path | None, typer.Option(help="also write the rows here")] = None,
) -> None:
    """Print what every attack leaves, and its passes for each image."""
    torch.set_num_threads(1)
    loaded = [models.load(name, cache, images=images) for name in names.split(",")]
    rows = []
    for model in loaded:
        for outcome in rand(model, budgets.split(","), seeds):
            rows.append(outcome.row(model, INF))
            print(rows[-1], flush=True)
    measure.write(json, {"about": measure.surroundings(torch.device("cpu")), "rows": rows})


if __name__ == "__main__":
    typer.run(main)
