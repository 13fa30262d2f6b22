"""The numbers in the form of RobustBench's ``model_info`` files, so that tools which read those can read these.

Croce et al., "RobustBench: a standardized adversarial robustness benchmark" (NeurIPS 2021 Datasets and Benchmarks).
Nothing here is a result of RobustBench: it is our attacks on the data of this evaluation, and the fields say so.
"""

from __future__ import annotations

import json
from typing import Any

from art_domainrand.evaluation.conditions.kinds import Attacked
from art_domainrand.evaluation.conditions.names import attack_name, eps_text
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.corruptions import corruption_report
from art_domainrand.evaluation.summary.threats import names_of_kind
from art_domainrand.evaluation.summary.union import robust_accuracy
from art_domainrand.evaluation.summary.verdict import data_name
from art_domainrand.randomization.corruptions import COMMON
from art_domainrand.randomization.corruptions.constants import SEVERITIES

THREAT_MODELS = {"linf": "Linf", "l2": "L2", "l1": "L1", "l0": "L0"}
"""The norms as RobustBench calls them."""


def robustbench_text(evaluation: Evaluation) -> str:
    """One JSON object with an entry for each model and threat model, accuracies in percent as text.

    ``autoattack_acc`` is there only if ART's AutoAttack was run, and then alone; ``robust_acc`` is what all attacks of
    that norm and radius leave together. ``corruptions_acc`` needs all fifteen common corruptions at all five
    severities. ``external`` (of RobustBench a stronger result by others) is always false, ``unreliable`` is whether the
    diagnosis found something.

    :param evaluation: the evaluation.
    """
    entries = [entry for model in evaluation.models for entry in entries_of(evaluation, model)]
    document = {"source": "art-domainrand, not RobustBench", "entries": entries}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def entries_of(evaluation: Evaluation, model: str) -> list[dict[str, Any]]:
    """The entries of a model: one for each norm and radius of an attack, and one for corruptions."""
    diagnosis = evaluation.diagnoses.get(model)
    common: dict[str, Any] = {
        "name": model,
        "dataset": data_name(evaluation),
        "n_examples": len(evaluation.outcomes.samples),
        "external": False,
        "unreliable": None if diagnosis is None else not diagnosis.ok,
    }
    for name in names_of_kind(evaluation, "clean")[:1]:
        common["clean_acc"] = percent_text(evaluation.accuracy(model, name).accuracy)
    balls = [(one.norm, one.eps) for one in evaluation.conditions.values() if isinstance(one, Attacked)]
    entries = [common | attacked_fields(evaluation, model, *ball) for ball in dict.fromkeys(balls)]
    corruptions = corruption_fields(evaluation, model)
    return [*entries, *([common | corruptions] if corruptions else [])]


def attacked_fields(evaluation: Evaluation, model: str, norm: str, eps: float) -> dict[str, Any]:
    """The fields of one ball."""
    attacks = {
        name: one
        for name, one in evaluation.conditions.items()
        if isinstance(one, Attacked) and one.norm == norm and one.eps == eps
    }
    fields: dict[str, Any] = {"threat_model": THREAT_MODELS[norm], "eps": eps_text(eps)}
    fields |= interval_fields("robust_acc", robust_accuracy(evaluation, model, norm, eps))
    for name, one in attacks.items():
        if attack_name(one.attack) in ("art:AutoAttack", "AutoAttack"):
            fields["autoattack_acc"] = percent_text(evaluation.accuracy(model, name).accuracy)
    return fields | {"attacks": [attack_name(one.attack) for one in attacks.values()]}


def corruption_fields(evaluation: Evaluation, model: str) -> dict[str, Any]:
    """The fields of common corruptions; none where some of them were not judged."""
    try:
        report = corruption_report(evaluation, model)
        rows = [report.row(name, severity) for name in COMMON for severity in SEVERITIES]
    except (KeyError, ValueError):
        return {}
    return {"threat_model": "corruptions", "corruptions_acc": percent_text(sum(r.accuracy for r in rows) / len(rows))}


def interval_fields(name: str, row: Row) -> dict[str, Any]:
    """An accuracy and its 95% interval."""
    return {name: percent_text(row.accuracy), f"{name}_interval": [percent_text(row.low), percent_text(row.high)]}


def percent_text(share: float) -> str:
    """A share in percent to two digits, as RobustBench writes it."""
    return f"{100 * share:.2f}"
