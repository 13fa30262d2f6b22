"""What each lever of a strong ensemble breaks alone, on the images that a first PGD leaves undecided.

The levers are those of published attacks: A3's directed starts and its discarding by rank (Liu et al. 2022), PMA's
margin of probabilities, MIFPE's scale (Yamamura et al. 2022), MALT's ranking of targets (Melamed et al. 2024) and
minimum-norm steps. The images are those that PGD-50 on the margin leaves at less than ``--below`` of their margin.

Run ``python tests/benchmarks/levers.py --cache FOLDER [--models NAMES] [--weights FILE --data FILE]``.
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import numpy as np
import torch
import typer
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from strength_undecided import margins, undecided

from art_domainrand import PGD, AutoPGD, MinimumNorm, StrongestAttack
from art_domainrand.attacks.ensemble import budgets
from art_domainrand.attacks.ensemble.reach import Worthwhile

import measure
import strength_models as models
from strength_models import INF, Model
from strength_standard import counted, standing

Row = dict[str, Any]
Lever = Callable[[Model, int], Tensor]
"""A model and a seed -> its images, attacked."""

STEPS, TARGETS = 50, 4
# A3 (section 3.3 and its authors' code): the share of samples, of largest margin, that each round goes on with.
SHARES = (1, 1, 1, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, *[0.1] * 5, *[0.065] * 4, *[0.03] * 20)


def probability_margin(scores: Tensor, labels: Tensor) -> Tensor:
    """PMA's loss: the same of the probabilities."""
    return margins(scores.softmax(1), labels)


def scaled_cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """MIFPE's: cross-entropy of scores over the distance of the two largest, which is held."""
    first, second = scores.detach().topk(2, dim=1).values.unbind(1)
    scale = (first - second).clamp_min(1e-6)
    return torch.nn.functional.cross_entropy(scores / scale[:, None], labels, reduction="none")


def climbing(loss: Any, restarts: int = 4) -> Lever:
    """Cosine steps on a loss from random starts."""
    return lambda model, seed: stepped(model, seed, loss, restarts)


def stepped(model: Model, seed: int, loss: Any, restarts: int) -> Tensor:
    attack = PGD(
        model.estimator, eps=model.eps, eps_step=model.eps, max_iter=STEPS, num_random_init=restarts, loss=loss,
        step_schedule="cosine", early_stop=True, seed=seed, batch_size=len(model.x), verbose=False,
    )  # fmt: skip
    return torch.as_tensor(attack.generate(model.test.x, model.test.y))


def auto(model: Model, seed: int, loss: str, restarts: int = 1, **options: Any) -> Tensor:
    """Auto-PGD, 50 steps."""
    attack = AutoPGD(
        model.estimator, eps=model.eps, max_iter=STEPS, nb_random_init=restarts, loss_type=loss, seed=seed,
        batch_size=len(model.x), verbose=False, **options,
    )  # fmt: skip
    return torch.as_tensor(attack.generate(model.test.x, model.test.y))


def targeted(by_gradient: bool) -> Lever:
    """Auto-PGD on the targeted DLR towards four classes, by score or by score over the length of its gradient."""

    def lever(model: Model, seed: int) -> Tensor:
        adv, ranked = model.x.clone(), by_length(model) if by_gradient else by_score(model)
        for rank in range(TARGETS):
            left = model.right(adv).nonzero()[:, 0]
            if not len(left):
                break
            part = replace(model, test=replace(model.test, x=model.test.x[left], y=ranked[left, rank].numpy()))
            tried = auto(part, seed, "difference_logits_ratio", targeted=True)
            adv[left] = tried
        return adv

    return lever


def by_score(model: Model) -> Tensor:
    """The other classes (N, K - 1), the largest score first."""
    with torch.no_grad():
        return model.net(model.x).scatter(1, model.y[:, None], -torch.inf).argsort(1, descending=True)[:, :-1]


def by_length(model: Model) -> Tensor:
    """MALT: the other classes (N, K - 1), the smallest margin over the L1 length of its gradient first."""
    x = model.x.clone().requires_grad_()
    scores = model.net(x)
    margin = scores.gather(1, model.y[:, None]) - scores
    rate = torch.empty_like(margin)
    for label in range(margin.shape[1]):
        (gradient,) = torch.autograd.grad(margin[:, label].sum(), x, retain_graph=True)
        rate[:, label] = margin[:, label].detach() / gradient.flatten(1).abs().sum(1).clamp_min(1e-12)
    return rate.scatter(1, model.y[:, None], torch.inf).argsort(1)[:, :-1]


def minimum(model: Model, seed: int) -> Tensor:
    """The closest adversarial examples; those beyond eps do not count."""
    attack = MinimumNorm(model.estimator, norm=INF, max_iter=4 * STEPS, batch_size=len(model.x), verbose=False)
    return torch.as_tensor(attack.generate(model.test.x, model.test.y))


def lines(*own: budgets.BudgetLine) -> Lever:
    """Lines of StrongestAttack alone."""
    return lambda model, seed: strongest(model, seed, budgets.Budget(own, budgets.UnmaskingBudget(0, 0, 0)))


def strongest(model: Model, seed: int, budget: budgets.Budget | None = None) -> Tensor:
    """StrongestAttack, or such a budget of it."""
    with mock.patch.dict(budgets.BUDGETS, {} if budget is None else {"standard": budget}):
        attack = StrongestAttack(model.estimator, eps=model.eps, seed=seed, batch_size=len(model.x), verbose=False)
        return torch.as_tensor(attack.generate(model.test.x, model.test.y))


def shorter() -> budgets.Budget:
    """The standard budget without its last line."""
    standard = budgets.BUDGETS["standard"]
    return replace(standard, lines=standard.lines[:-1])


def by_rank(model: Model, seed: int) -> Tensor:
    """The standard budget, where a stage goes on with a share of the images, those of largest margin."""
    shares = iter(SHARES)

    def discarding(inputs: Any, most: int, reach: float) -> Worthwhile | None:
        if reach >= 1:
            return None
        share = next(shares)

        def worthwhile(ids: Tensor, margin: Tensor) -> Tensor:
            kept = torch.zeros(len(ids), dtype=torch.bool)
            kept[margin.argsort(descending=True)[: int(np.ceil(share * len(inputs)))]] = True
            return kept

        return worthwhile

    with mock.patch("art_domainrand.attacks.strongest.within_reach", discarding):
        return strongest(model, seed)


LEVERS: dict[str, Lever] = {
    "Auto-PGD, cross-entropy, 4 starts": lambda model, seed: auto(model, seed, "cross_entropy", 4),
    "cosine steps, margin (random starts)": climbing("margin"),
    "cosine steps, cross-entropy": climbing("cross_entropy"),
    "PMA: cosine steps, margin of probabilities": climbing(probability_margin),
    "MIFPE: cosine steps, scaled cross-entropy": climbing(scaled_cross_entropy),
    "A3: directed starts, margin": lines((budgets.DIRECTED, STEPS, 4, 1.0)),
    "A3: directed starts, cross-entropy": lines((budgets.DIRECTED_CE, STEPS, 4, 1.0)),
    "targeted DLR, 4 classes by score": targeted(by_gradient=False),
    "MALT: targeted DLR, 4 classes by score over gradient": targeted(by_gradient=True),
    "minimum-norm steps": minimum,
    "Square, 200 queries": lines((budgets.SQUARE, 200, 1, 1.0)),
    "standard budget": strongest,
    "standard budget, without squares from the best point": lambda model, seed: strongest(model, seed, shorter()),
    "standard budget, discarding by rank": by_rank,
}


def measured(model: Model, seeds: int) -> Iterator[Row]:
    """For each lever how many of the images fall, of those that any of them breaks, and forward passes per image."""
    broken: dict[str, list[Tensor]] = {}
    passes: dict[str, list[float]] = {}
    for name, lever in LEVERS.items():
        for seed in range(seeds):
            with warnings.catch_warnings(action="ignore"):
                adv, spent = counted(model, lambda lever=lever, seed=seed: lever(model, seed))
            broken.setdefault(name, []).append(~standing(model, adv, INF))
            passes.setdefault(name, []).append(float(spent.forwards.mean()))
        print(name, [int(found.sum()) for found in broken[name]], flush=True)
    either = torch.stack([found for each in broken.values() for found in each]).any(0)
    for name, each in broken.items():
        counts = [int(found.sum()) for found in each]
        row = {"model": model.name, "images": len(model.x), "any": int(either.sum()), "lever": name}
        row |= {f"seed {seed}": found for seed, found in enumerate(counts)}
        yield row | {"mean": float(np.mean(counts)), "forward": float(np.mean(passes[name]))}


def main(
    cache: Annotated[Path, typer.Option(help="keep trained models here")],
    cifar: Annotated[Path | None, typer.Option(help="archive or folder of CIFAR-10")] = None,
    names: Annotated[str, typer.Option("--models", help="of strength_models.MODELS")] = "digits-smallcnn,cifar-trades",
    images: Annotated[int, typer.Option(help="test images, of which the undecided are attacked")] = 1000,
    offset: Annotated[int, typer.Option(help="of the published network's images")] = 0,
    weights: Annotated[Path | None, typer.Option(help="TRADES' MNIST network, beside the models")] = None,
    data: Annotated[Path | None, typer.Option(help="npz of MNIST's test images, x in [0, 1] and y")] = None,
    below: Annotated[float, typer.Option(help="share of the margin")] = 0.65,
    seeds: int = 3,
    json: Annotated[Path | None, typer.Option(help="also write the table here")] = None,
) -> None:
    """Attack the undecided images of every model with every lever, print a table."""
    torch.set_num_threads(1)
    attacked = [models.load(name, cache, cifar, images) for name in names.split(",") if name]
    if weights is not None and data is not None:
        attacked.append(models.published(weights, data, images, offset=offset))
    rows = [row for model in attacked for row in measured(undecided(model, below), seeds)]
    measure.print_table(rows)
    measure.write(json, {"about": measure.surroundings(torch.device("cpu")), "levers": rows})


if __name__ == "__main__":
    typer.run(main)
