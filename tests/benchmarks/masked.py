"""Models whose gradients are masked: what StrongestAttack leaves there, beside AutoAttack at equal queries.

Run ``python tests/benchmarks/masked.py [--cache FOLDER] [--images N] [--queries N] [--only NAME,...] [--json FILE]``
(needs the extra ``peers``). Around networks trained on digits stand defences that hide the gradient, and two networks
were made to hide it. AutoAttack is its gradient part (APGD-CE and APGD-T on nine classes) and Square attack in
torchattacks' code; ``--queries`` is how many both may make of a sample.
"""

import io
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import numpy as np
import torch
import torchattacks
import typer
from PIL import Image
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand import StrongestAttack
from art_domainrand.attacks.blackbox.unmasking_budget import UnmaskingBudget
from art_domainrand.attacks.ensemble.budgets import BUDGETS

import strength_models as models
from strength_models import Model

QUALITY = 20  # of JPEG


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


def jpeg(x: Tensor) -> Tensor:
    """Grey images as Pillow writes and reads them, outside of autograd."""
    pixels = (x.detach() * 255).round().to(torch.uint8).numpy()
    return torch.from_numpy(np.stack([read_again(one) for one in pixels[:, 0]])[:, None]).to(x) / 255 + 0 * x


def read_again(pixels: Any) -> Any:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=QUALITY)
    return np.asarray(Image.open(file))


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
    "JPEG in NumPy (zero gradient)": (jpeg, same),
    "JPEG in NumPy, gradient as if it were not there": (lambda x: x + (jpeg(x) - x).detach(), same),
}
PLAIN, TRAINED = "digits-plain", "digits-pgd"
# What hides the gradient is in these networks.
NETWORKS = {"k winners take all": "digits-winners", "defensive distillation": "digits-distilled"}


def auto(net: nn.Module, x: Tensor, y: Tensor, queries: int, eps: float) -> Tensor:
    """What AutoAttack makes of the images."""
    options = {"eps": eps, "norm": "Linf", "seed": 0}
    return torchattacks.MultiAttack(
        [
            torchattacks.APGD(net, steps=100, n_restarts=1, loss="ce", **options),
            torchattacks.APGDT(net, steps=100, n_restarts=1, n_classes=10, **options),
            torchattacks.Square(net, n_queries=queries, **options),
        ]
    )(x, y)


def row(name: str, model: Model, queries: int, seeds: int) -> dict[str, Any]:
    """Robust accuracy after both, in percent, and the seconds they took."""
    begin = time.process_time()
    theirs = model.accuracy(auto(model.net, model.x, model.y, queries, model.eps))
    middle = time.process_time()
    found = [ours(model, queries, seed) for seed in range(seeds)]
    return {
        "defence": name,
        "network": model.name,
        "eps": model.eps,
        "clean %": model.accuracy(model.x),
        "AutoAttack %": theirs,
        "StrongestAttack %": [accuracy for accuracy, _ in found],
        "AutoAttack s": middle - begin,
        "StrongestAttack s": (time.process_time() - middle) / seeds,
        "looked masked": [looked for _, looked in found],
    }


def ours(model: Model, queries: int, seed: int) -> tuple[float, int]:
    """What StrongestAttack leaves, in percent, and how many samples looked masked to it."""
    attack = StrongestAttack(model.estimator, eps=model.eps, batch_size=len(model.x), verbose=False, seed=seed)
    budget = {"standard": replace(BUDGETS["standard"], unmasking=UnmaskingBudget(queries=queries))}
    with mock.patch.dict(BUDGETS, budget), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        adv = attack.generate(model.test.x, model.test.y)
    looked = next((int(str(w.message).split()[3]) for w in said if "look masked" in str(w.message)), 0)
    return model.accuracy(adv), looked


def masked(cache: Path | None, images: int) -> Iterator[tuple[str, Model]]:
    """Every defence by name, around each network, and the networks that hide the gradient themselves."""
    for trained in (TRAINED, PLAIN):
        model = models.load(trained, cache, images=images)
        for name, around in DEFENCES.items():
            yield name, replace(model, net=Behind(model.net, *around).eval())
    for name, trained in NETWORKS.items():
        yield name, models.load(trained, cache, images=images)


def main(
    cache: Annotated[Path | None, typer.Option(help="Folder of trained weights.")] = None,
    images: Annotated[int, typer.Option(help="How many test images.")] = 40,
    queries: Annotated[int, typer.Option(help="Queries of Square attack of each sample.")] = 5000,
    seeds: Annotated[int, typer.Option(help="Of StrongestAttack.")] = 1,
    only: Annotated[str, typer.Option(help="Parts of defences' and networks' names, separated by commas.")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the rows.")] = None,
) -> None:
    """Print the rows."""
    torch.set_num_threads(1)
    rows = []
    for name, model in masked(cache, images):
        if any(part in f"{name} {model.name}" for part in only.split(",")):
            torch.manual_seed(0)
            np.random.seed(0)
            rows.append(row(name, model, queries, seeds))
            print(rows[-1], flush=True)
            if json_file is not None:
                json_file.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
