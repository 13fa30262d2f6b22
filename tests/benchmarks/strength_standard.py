"""AutoAttack standard beside StrongestAttack: robust accuracy, passes and seconds for every model and norm.

AutoAttack is its authors' code (``pip install git+https://github.com/fra31/auto-attack``); where that is not installed,
ours stand alone. A model that draws at random meets its version "rand".
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from art_domainrand import StrongestAttack
from art_domainrand.evaluation.running.passes import Meter, Passes

from strength_models import INF, Model

Row = dict[str, Any]
NAMES = {INF: "Linf", 2: "L2", 1: "L1"}
BUDGETS = ("quick", "standard", "full")
DRAWS = 400  # predictions of a random model; with 20 an image that half of them get right is a toss-up
SLACK = 1e-5  # of eps: what rounding may add to a distance


@dataclass(frozen=True, eq=False)
class Outcome:
    """What is left of a model's images after an attack.

    :param attack: Its name.
    :param right: What share of each image's predictions is right still (N,): 0 or 1 unless the model draws at random.
    :param passes: Forward and backward passes that it took.
    :param seconds: Of this process.
    """

    attack: str
    right: Tensor
    passes: Passes
    seconds: float

    @property
    def robust(self) -> Tensor:
        """Which images are right under most predictions (N,)."""
        return self.right >= 0.5

    def row(self, model: Model, norm: float) -> Row:
        expected = {"expected %": round(100 * float(self.right.mean()), 2)} if varies(model) else {}
        forwards, backwards = self.passes.forwards.mean(), self.passes.backwards.mean()
        return {
            "model": model.name,
            "norm": norm,
            "eps": round(model.radii[norm], 4),
            "attack": self.attack,
            "robust %": round(100 * float(self.robust.float().mean()), 2),
            **expected,
            "forward": round(float(forwards), 1),
            "backward": round(float(backwards), 1),
            "seconds": round(self.seconds, 1),
        }


def compare(
    model: Model, norm: float, seeds: int = 3, budgets: Sequence[str] = BUDGETS, masks: Path | None = None
) -> list[Row]:
    """Rows of AutoAttack's attacks, one after another, and of ours with every budget and seed.

    :param model: What is attacked.
    :param norm: inf, 2 or 1.
    :param seeds: How many of ours.
    :param budgets: Of ours.
    :param masks: The folder where it is kept which images stood.
    """
    found: list[Outcome] = []
    for outcome in chain(autoattack(model, norm), ours(model, norm, seeds, budgets)):
        found.append(outcome)
        print(outcome.row(model, norm), flush=True)
        if masks is not None:
            keep(masks / f"{model.name}-{NAMES[norm]}.npz", model, norm, found)
    return [outcome.row(model, norm) for outcome in found]


def keep(path: Path, model: Model, norm: float, found: list[Outcome]) -> None:
    """Write which images stood after each attack, beside what earlier runs of other attacks wrote."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = dict(np.load(path)) if path.exists() else {"clean": standing(model, model.x, norm).cpu().numpy()}
    np.savez(path, **before | {outcome.attack: outcome.robust.cpu().numpy() for outcome in found})


def ours(model: Model, norm: float, seeds: int, budgets: Sequence[str]) -> Iterator[Outcome]:
    """StrongestAttack with every budget and seed."""
    for budget in budgets:
        for seed in range(seeds):
            attack = StrongestAttack(
                model.estimator,
                norm=norm,
                eps=model.radii[norm],
                budget=budget,
                seed=seed,
                batch_size=len(model.x),
                verbose=False,
            )
            yield measured(
                f"StrongestAttack {budget}, seed {seed}", model, norm, lambda attack=attack: ours_adv(attack, model)
            )


def ours_adv(attack: StrongestAttack, model: Model) -> Tensor:
    return torch.as_tensor(attack.generate(model.test.x, model.test.y), device=model.device)


def autoattack(model: Model, norm: float, restarts: int = 5) -> Iterator[Outcome]:
    """AutoAttack standard, attack by attack on what is left, each outcome that of all so far; then more restarts.

    The last outcome adds five restarts of APGD on cross-entropy, where the standard takes one in L-inf and L2.
    """
    random = varies(model)
    if find_spec("autoattack") is None:
        print("AutoAttack is not installed: left out", flush=True)
        return
    adv, total, seconds = model.x.clone(), Passes.none(len(model.x)), 0.0
    right = share_right(model, adv, norm)
    tool = official(model, norm, random)
    plans = [(name, name) for name in tool.attacks_to_run]
    plans += [] if random or norm == 1 else [("apgd-ce", f"apgd-ce x{restarts}")]
    for name, title in plans:
        if (right >= 0.5).any():
            tool.attacks_to_run = [name]
            if title != name:
                tool.apgd.n_restarts, tool.seed = restarts, 1
            left = (right >= 0.5).nonzero()[:, 0]
            begin = time.process_time()
            found, passes = counted(model, lambda tool=tool, left=left: run(tool, model.x[left], model.y[left]))
            adv[left], total, seconds = found, total + passes, seconds + time.process_time() - begin
            right = torch.minimum(right, share_right(model, adv, norm))
        yield Outcome(f"AutoAttack, to {title}", right, total, seconds)


def official(model: Model, norm: float, random: bool) -> Any:
    """AutoAttack of its authors."""
    from autoattack import AutoAttack

    version = "rand" if random else "standard"
    return AutoAttack(
        model.net, norm=NAMES[norm], eps=model.radii[norm], seed=0, version=version, device=model.device, verbose=False
    )


def run(tool: Any, x: Tensor, y: Tensor) -> Tensor:
    found: Tensor = tool.run_standard_evaluation(x, y, bs=len(x))
    return found


def measured(name: str, model: Model, norm: float, attack: Callable[[], Tensor]) -> Outcome:
    """One attack on all images."""
    begin = time.process_time()
    adv, passes = counted(model, attack)
    seconds = time.process_time() - begin
    right = torch.minimum(share_right(model, model.x, norm), share_right(model, adv, norm))
    return Outcome(name, right, passes, seconds)


def counted(model: Model, attack: Callable[[], Tensor]) -> tuple[Tensor, Passes]:
    """What an attack finds, and its passes, for each image of the model, attacked or not."""
    with Meter(model.estimator) as meter:
        return meter.measured(attack, len(model.x))


def standing(model: Model, adv: Tensor, norm: float) -> Tensor:
    """Which images are right under most predictions, or have left the ball or the box (N,)."""
    return share_right(model, adv, norm) >= 0.5


def share_right(model: Model, adv: Tensor, norm: float) -> Tensor:
    """What share of predictions is right (N,); all of them where an image has left ball or box, which is no success."""
    distance = torch.linalg.vector_norm((adv - model.x).flatten(1), norm, dim=1)
    outside = (distance > model.radii[norm] * (1 + SLACK)) | ((adv < 0) | (adv > 1)).flatten(1).any(1)
    draws = DRAWS if varies(model) else 1
    right = torch.stack([model.right(adv) for _ in range(draws)]).float().mean(0)
    return torch.where(outside, 1.0, right)


def varies(model: Model) -> bool:
    """Whether two predictions differ."""
    with torch.no_grad():
        return not torch.equal(model.net(model.x[:8]), model.net(model.x[:8]))
