"""Evaluations that were never run: rows drawn at random, for what only reads them."""

from collections.abc import Mapping

import numpy as np

from art_domainrand.evaluation.conditions import Attacked, Clean, Condition, Corrupted, Randomized, Then
from art_domainrand.evaluation.evaluation import Evaluation, Sample
from art_domainrand.evaluation.outcomes import OUTCOME, Outcomes

CONDITIONS = [
    Clean(),
    *(Attacked("pgd", eps / 255) for eps in (1, 2, 4, 8)),
    Attacked("strongest", 1.0, "l2"),
    *(Corrupted(name, severity) for name in ("fog", "gaussian_noise") for severity in (1, 3, 5)),
    Randomized("sim2real", draws=4),
    Then(Corrupted("fog", 3), Attacked("pgd", 4 / 255)),
]


def outcome_rows(model, condition, right, *, classes=10, seed=0):
    """Rows of one model (a number) in one condition (a number), for ``right`` (draws, N)."""
    rng = np.random.default_rng((seed, model, condition))
    draws, n = right.shape
    rows = np.zeros((n, draws), OUTCOME)
    rows["model"], rows["condition"] = model, condition
    rows["sample"], rows["draw"] = np.arange(n)[:, None], np.arange(draws)
    label = np.arange(n)[:, None] % classes
    rows["label"], rows["right"] = label, right.T
    rows["predicted"] = np.where(right.T, label, (label + 1 + rng.integers(0, classes - 1, (n, draws))) % classes)
    rows["margin"] = np.where(right.T, 1, -1) * rng.exponential(2, (n, draws))
    rows["confidence"] = 0.2 + 0.8 * rng.random((n, draws))
    for name in ("l0", "l1", "l2", "linf"):
        rows[name] = 0 if condition == 0 else rng.random((n, draws))
    rows["forwards"], rows["backwards"] = 1 + 20 * (condition > 0), 20 * (condition > 0)
    return rows.reshape(-1)


def made_up(models=("plain", "robust"), conditions: list[Condition] | None = None, n=200, classes=10, seed=0):
    """An evaluation whose models get worse from condition to condition."""
    rng = np.random.default_rng(seed)
    conditions = CONDITIONS if conditions is None else conditions
    named: Mapping[str, Condition] = {condition.name: condition for condition in conditions}
    parts = []
    for m in range(len(models)):
        strength = rng.random((1, n)) + 0.3 * m
        for c, condition in enumerate(conditions):
            draws = condition.draws if isinstance(condition, Randomized) else 1
            right = strength + 0.1 * rng.random((draws, n)) > 0.1 + 0.6 * c / len(conditions)
            parts.append(outcome_rows(m, c, right, classes=classes, seed=seed))
    table = Outcomes.joined(parts, models, list(named), [f"class {k}" for k in range(classes)])
    image = rng.random((2, 3, 16, 16), dtype=np.float32)
    samples = tuple(
        Sample(model, name, k, image[0], image[1], "class 1", "class 1", "class 2", "angle 12 degrees", f"{k}.png")
        for model in models
        for name in named
        if name != "clean"
        for k in range(2)
    )
    manifest = {"schema": 1, "seed": 0, "command": "art-domainrand evaluate", "data": {"name": "made up", "n": n}}
    return Evaluation(table, named, manifest, samples=samples, cost={"seconds": 12.5, "peak_bytes": 10**9})
