"""How strong the attacks are and what that costs, beside ART's and torchattacks', on models trained here.

Run ``python tests/benchmarks/strength.py [--cifar ARCHIVE] [--cache FOLDER] [--part ensemble|norms|early|random|scale]
[--json FILE]`` (needs the extra ``peers``). ``--part standard``, which is not in "all", sets StrongestAttack beside
AutoAttack standard on ``--models``, or on TRADES' published MNIST network (``--weights``, ``--data``). Robust
accuracies are percentages of the test images that survive; times are seconds of this process on one CPU thread, else of
the wall clock.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import torchattacks
import typer
from art.attacks.evasion import AutoProjectedGradientDescent, ProjectedGradientDescentPyTorch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from strength_undecided import undecided

from art_domainrand import FGSM, PGD, AutoPGD, StrongestAttack
from art_domainrand.data import LabelledImages

import measure
import strength_models as models
from measure import timed
from strength_models import INF, Model
from strength_nets import Scaled
from strength_random import random_input, variance
from strength_standard import compare

Row = dict[str, Any]
Tables = dict[str, list[Row]]
# In L-inf, where the undefended networks are attacked.
EPS_UNDEFENDED = {"digits": 0.2, "cifar": 8 / 255}


def attacked(model: Model, attacks: dict[str, Callable[[], Any]]) -> list[Row]:
    """Robust accuracy and time of every attack on a model."""
    rows = []
    for name, run in attacks.items():
        adv, seconds = timed(run)
        rows.append({"model": model.name, "attack": name, "robust %": model.accuracy(adv), "seconds": seconds})
        print(rows[-1], flush=True)
    return rows


def ensemble(model: Model) -> list[Row]:
    """ART's strongest gradient attacks, AutoAttack's gradient part, and ours."""
    x, y, c = model.test.x, model.test.y, model.estimator
    common = {"eps": model.eps, "batch_size": len(x), "verbose": False}
    auto = torchattacks.MultiAttack(
        [
            torchattacks.APGD(model.net, eps=model.eps, steps=100, n_restarts=1, loss="ce", seed=0),
            torchattacks.APGDT(model.net, eps=model.eps, steps=100, n_restarts=1, n_classes=10, seed=0),
        ]
    )
    art_apgd = {"eps_step": model.eps / 4, "max_iter": 100, "nb_random_init": 1}
    rows = attacked(
        model,
        {
            "none": lambda: x,
            "ART PGD-100 x 5": lambda: ProjectedGradientDescentPyTorch(
                c, eps_step=model.eps / 10, max_iter=100, num_random_init=5, **common
            ).generate(x, y),
            "ART APGD-CE": lambda: AutoProjectedGradientDescent(
                c, loss_type="cross_entropy", **art_apgd, **common
            ).generate(x, y),
            "ART APGD-DLR": lambda: AutoProjectedGradientDescent(
                c, loss_type="difference_logits_ratio", **art_apgd, **common
            ).generate(x, y),
            "torchattacks AutoAttack, gradient part": lambda: auto(model.x, model.y),
            **{
                f"StrongestAttack, {budget}, seed {seed}": lambda budget=budget, seed=seed: StrongestAttack(
                    c, budget=budget, seed=seed, **common
                ).generate(x, y)
                for budget in ("quick", "standard")
                for seed in range(3)
            },
            "AutoPGD-CE": lambda: AutoPGD(
                c, loss_type="cross_entropy", max_iter=100, nb_random_init=1, seed=0, **common
            ).generate(x, y),
        },
    )
    base = next(row["seconds"] for row in rows if row["attack"].startswith("torchattacks"))
    return [row | {"time, of AutoAttack's": row["seconds"] / base} for row in rows]


def early(undefended: Model, robust: Model) -> list[Row]:
    """PGD with ``early_stop`` against ART's at equal settings, and the share of samples that was still active."""
    return [early_row(undefended), early_row(robust)]


def early_row(model: Model) -> Row:
    """One model's comparison."""
    x, y, steps = model.test.x, model.test.y, 100
    options = {"eps": model.eps, "eps_step": model.eps / 10, "max_iter": steps, "batch_size": len(x), "verbose": False}
    theirs, art_seconds = timed(lambda: ProjectedGradientDescentPyTorch(model.estimator, **options).generate(x, y))
    ours, seconds = timed(lambda: PGD(model.estimator, early_stop=True, **options).generate(x, y))
    with CountRows(model.net) as counted:
        PGD(model.estimator, early_stop=True, **options).generate(x, y)
    active = counted.rows / (len(x) * steps)
    return {
        "model": model.name,
        "ART PGD-100 %": model.accuracy(theirs),
        "ours %": model.accuracy(ours),
        "ART s": art_seconds,
        "ours s": seconds,
        "ART / ours": art_seconds / seconds,
        "mean active share": active,
        "speed-up x active share": art_seconds / seconds * active,
    }


class CountRows:
    """Counts the images that a network sees inside the ``with`` block."""

    def __init__(self, net: nn.Module) -> None:
        # ART calls the layers of a Sequential one by one, so the first layer counts, not the network.
        self.first = next(module for module in net.modules() if not list(module.children()))
        self.rows = 0

    def __enter__(self) -> "CountRows":
        self.hook = self.first.register_forward_hook(self.count)
        return self

    def __exit__(self, *exception: object) -> None:
        self.hook.remove()

    def count(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.rows += len(inputs[0])


def scaled(undefended: Model) -> list[Row]:
    """Attacks on an undefended model whose logits are 500 times as large."""
    model = replace(undefended, name=f"{undefended.name}, logits x500", net=Scaled(undefended.net))
    x, y, c = model.test.x, model.test.y, model.estimator
    options = {"eps": model.eps, "eps_step": model.eps / 4, "max_iter": 40, "batch_size": len(x), "verbose": False}
    return attacked(
        model,
        {
            "ART PGD": lambda: ProjectedGradientDescentPyTorch(c, **options).generate(x, y),
            "PGD": lambda: PGD(c, **options).generate(x, y),
            "PGD, margin": lambda: PGD(c, loss="margin", **options).generate(x, y),
            "PGD, dlr": lambda: PGD(c, loss="dlr", **options).generate(x, y),
        },
    )


def norms(plain: Model, robust: Model) -> list[Row]:
    """FGSM, cosine PGD, Auto-PGD to the letter and refined, and the ensemble, in L1 and L2; digits grey and binary."""
    binary = replace(plain, name=f"{plain.name}, binarized", test=binarized(plain.test))
    plans = [(plain, 1, (2.0, 5.0, 8.0)), (binary, 1, (2.0, 5.0, 8.0)), (robust, 1, (5.0, 10.0))]
    plans += [(plain, 2, (0.5, 1.0)), (robust, 2, (1.0, 1.5))]
    return [row for model, norm, radii in plans for eps in radii for row in in_norm(model, norm, eps)]


def in_norm(model: Model, norm: int, eps: float) -> list[Row]:
    """Every attack in one ball."""
    x, y, c = model.test.x, model.test.y, model.estimator
    common = {"norm": norm, "eps": eps, "batch_size": len(x)}
    auto = {"max_iter": 100, "nb_random_init": 1, "loss_type": "cross_entropy", "seed": 0, "verbose": False}
    pgd = {"eps_step": eps / 2, "max_iter": 50, "step_schedule": "cosine", "loss": "margin", "verbose": False}
    attacks = {
        "FGSM": lambda: FGSM(c, **common).generate(x, y),
        "PGD-50, cosine, margin": lambda: PGD(c, **common, **pgd).generate(x, y),
        "AutoPGD-100, original": lambda: AutoPGD(c, **common, **auto, variant="original").generate(x, y),
        "AutoPGD-100": lambda: AutoPGD(c, **common, **auto).generate(x, y),
        "StrongestAttack, quick": lambda: StrongestAttack(c, **common, budget="quick", seed=0, verbose=False).generate(
            x, y
        ),
        "StrongestAttack": lambda: StrongestAttack(c, **common, seed=0, verbose=False).generate(x, y),
    }
    return [row | {"norm": norm, "eps": eps} for row in attacked(model, attacks)]


def binarized(images: LabelledImages) -> LabelledImages:
    """The images in black and white."""
    return replace(images, x=(images.x > 0.5).astype(images.x.dtype))


def pair(data: str, load: Callable[[str], Model]) -> tuple[Model, Model]:
    """The undefended and the adversarially trained model, each at its L-inf radius."""
    plain, robust = load(f"{data}-plain"), load(f"{data}-pgd")
    return (
        replace(plain, name=f"{data}, undefended", radii={INF: EPS_UNDEFENDED[data]}),
        replace(robust, name=f"{data}, adversarially trained"),
    )


def parts(part: str, load: Callable[[str], Model], data: list[str], counts: list[int], seeds: int) -> Tables:
    """The tables of a part, or of all."""
    tables: Tables = {}
    for name in data:
        plain, robust = pair(name, load)
        if part in ("all", "ensemble"):
            tables[f"{name}: ensemble"] = ensemble(plain) + ensemble(robust)
        if part in ("all", "early"):
            tables[f"{name}: early stop"] = early(plain, robust)
        if part in ("all", "norms") and name == "digits":
            tables[f"{name}: other norms"] = norms(plain, robust)
        if part in ("all", "scale"):
            tables[f"{name}: logits x500"] = scaled(plain)
        if part in ("all", "random") and name == "digits":
            tables[f"{name}: random input"] = random_input(robust, counts, seeds)
            tables[f"{name}: variance of the gradient"] = variance(robust)
    return tables


def standard(attacked: list[Model], at: str, budgets: str, seeds: int, masks: Path | None) -> Tables:
    """AutoAttack standard and StrongestAttack on every model, a table for each norm."""
    return {
        f"AutoAttack standard and StrongestAttack, L{norm}": [
            row for model in attacked for row in compare(model, float(norm), seeds, budgets.split(","), masks)
        ]
        for norm in at.split(",")
    }


def main(
    cifar: Annotated[Path | None, typer.Option(help="archive or folder of CIFAR-10")] = None,
    cache: Annotated[Path | None, typer.Option(help="keep trained models here")] = None,
    part: Annotated[str, typer.Option(help="standard, ensemble, norms, early, random, scale or all")] = "all",
    images: Annotated[int, typer.Option(help="test images to attack")] = 397,
    draws: Annotated[str, typer.Option(help="draws a step against the random input, comma-separated")] = "1,4,16,64",
    seeds: Annotated[int, typer.Option(help="of StrongestAttack, and of the attacks on the random input")] = 3,
    names: Annotated[
        str, typer.Option("--models", help="standard: of strength_models.MODELS")
    ] = "digits-pgd,digits-l2",
    at: Annotated[str, typer.Option("--norms", help="standard: inf, 2, 1")] = "inf,2,1",
    budgets: Annotated[str, typer.Option(help="standard: of StrongestAttack")] = "quick,standard,full",
    weights: Annotated[Path | None, typer.Option(help="standard: TRADES' MNIST network, in place of models")] = None,
    data: Annotated[Path | None, typer.Option(help="standard: npz of MNIST's test images, x in [0, 1] and y")] = None,
    offset: Annotated[int, typer.Option(help="standard: of the MNIST network's images, left out before them")] = 0,
    hard: Annotated[bool, typer.Option(help="standard: those alone that PGD-50 leaves undecided")] = False,
    masks: Annotated[Path | None, typer.Option(help="standard: keep here which images stood after each attack")] = None,
    device: str = "cpu",
    threads: int = 1,
    json: Annotated[Path | None, typer.Option(help="also write the tables here")] = None,
) -> None:
    """Train or load the models, attack them, print the tables."""
    torch.set_num_threads(threads)
    load = partial(models.load, cache=cache, cifar=cifar, images=images, device=device)
    if part != "standard":
        sets = ["digits"] + ([] if cifar is None else ["cifar"])
        tables = parts(part, load, sets, [int(count) for count in draws.split(",")], seeds)
    else:
        if weights is None or data is None:
            attacked = [load(name) for name in names.split(",")]
        else:
            attacked = [models.published(weights, data, images, device=device, offset=offset)]
        if hard:
            attacked = [undecided(model) for model in attacked]
            print({model.name: f"{len(model.x)} images" for model in attacked}, flush=True)
        tables = standard(attacked, at, budgets, seeds, masks)
    about = measure.surroundings(torch.device(device)) | {"threads": threads}
    print(about)
    for title, rows in tables.items():
        print(f"\n{title}")
        measure.print_table(rows)
    measure.write(json, {"about": about, "tables": tables})


if __name__ == "__main__":
    typer.run(main)
