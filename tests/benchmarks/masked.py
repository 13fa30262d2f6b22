"""Models whose gradients are masked: what StrongestAttack leaves there, beside AutoAttack at equal queries.

Run ``python tests/benchmarks/masked.py [--cache FOLDER] [--images N] [--queries N] [--only NAME,...] [--json FILE]``
(needs the extra ``peers``). Around networks trained on digits stand defences that hide the gradient. AutoAttack is its
gradient part (APGD-CE and APGD-T on nine classes) and Square attack in torchattacks' code; ``--queries`` is how many
both may make of a sample.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import numpy as np
import torch
import torchattacks
import typer
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand import StrongestAttack
from art_domainrand.attacks.blackbox.unmasking_budget import UnmaskingBudget
from art_domainrand.attacks.ensemble.budgets import BUDGETS

import strength_models as models

EPS = 0.1


class Behind(nn.Module):
    """A network that sees what a defence makes of its images, and whose scores another function changes."""

    def __init__(self, net: nn.Module, before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.before, self.after = net, before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.net(self.before(x)))


def same(x: Tensor) -> Tensor:
    """Nothing is changed."""
    return x


def winners(x: Tensor) -> Tensor:
    """Pixels as steps: of 16 thresholds how many are passed, as a thermometer code read by a sum."""
    return sum((x > (k + 0.5) / 16).float() for k in range(16)) / 16 + 0 * x


# Name -> what stands before and after the network.
DEFENCES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "none": (same, same),
    "5 levels (zero gradient)": (lambda x: (x * 4).round() / 4, same),
    "thermometer of 16 (zero gradient)": (winners, same),
    "waves of .004 (shattered)": (lambda x: x + 0.004 * torch.sin(2e4 * x), same),
    "logits x500 (saturated)": (same, lambda z: 500 * z),
    "logits in steps of 1/4 (zero gradient)": (same, lambda z: (4 * z).round() / 4),
    "probabilities at temperature 1/50": (same, lambda z: torch.softmax(50 * z, 1)),
    "turned gradient": (lambda x: 2 * x.detach() - x, same),
}


def auto(net: nn.Module, x: Tensor, y: Tensor, queries: int) -> Tensor:
    """What AutoAttack makes of the images."""
    options = {"eps": EPS, "norm": "Linf", "seed": 0}
    return torchattacks.MultiAttack(
        [
            torchattacks.APGD(net, steps=100, n_restarts=1, loss="ce", **options),
            torchattacks.APGDT(net, steps=100, n_restarts=1, n_classes=10, **options),
            torchattacks.Square(net, n_queries=queries, **options),
        ]
    )(x, y)


def row(name: str, trained: str, net: nn.Module, test: Any, queries: int) -> dict[str, Any]:
    """Robust accuracy after both, in percent, and the seconds they took."""
    x, y = torch.from_numpy(test.x), torch.from_numpy(test.y)

    def right(adv: Tensor) -> float:
        with torch.no_grad():
            return 100 * float((net(adv).argmax(1) == y).float().mean())

    begin = time.process_time()
    theirs = right(auto(net, x, y, queries))
    middle = time.process_time()
    attack = StrongestAttack(models.classifier(net, test), eps=EPS, batch_size=len(x), verbose=False, seed=0)
    budget = {"standard": replace(BUDGETS["standard"], unmasking=UnmaskingBudget(queries=queries))}
    with mock.patch.dict(BUDGETS, budget), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        adv = attack.generate(test.x, test.y)
    return {
        "defence": name,
        "network": trained,
        "clean %": right(x),
        "AutoAttack %": theirs,
        "StrongestAttack %": right(torch.from_numpy(adv)),
        "AutoAttack s": middle - begin,
        "StrongestAttack s": time.process_time() - middle,
        "looked masked": next((int(str(w.message).split()[3]) for w in said if "look masked" in str(w.message)), 0),
    }


def main(
    cache: Annotated[Path | None, typer.Option(help="Folder of trained weights.")] = None,
    images: Annotated[int, typer.Option(help="How many test images.")] = 100,
    queries: Annotated[int, typer.Option(help="Queries of Square attack of each sample.")] = 1000,
    only: Annotated[str, typer.Option(help="Defences, separated by commas; all if empty.")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the rows.")] = None,
) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    rows = []
    for trained in ("digits-plain", "digits-pgd"):
        model = models.load(trained, cache, images=images)
        for name, around in DEFENCES.items():
            if only and not any(part in name for part in only.split(",")):
                continue
            torch.manual_seed(0)
            np.random.seed(0)
            rows.append(row(name, trained, Behind(model.net, *around).eval(), model.test, queries))
            print(rows[-1], flush=True)
            if json_file is not None:
                json_file.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
