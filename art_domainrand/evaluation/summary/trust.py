"""What a diagnosis, and the attacks that were run, allow one to say of the accuracy they leave."""

from __future__ import annotations

from collections.abc import Sequence

from art_domainrand.evaluation.conditions.kinds import Attacked, Condition, DomainAttacked, Then, Union
from art_domainrand.evaluation.conditions.names import attack_name
from art_domainrand.evaluation.diagnose.diagnosis import Finding
from art_domainrand.evaluation.evaluation import Evaluation

SINGLE_STEP = {"fgsm", "fgm", "fastgradientmethod"}
"""Attacks of one step, which find less than there is."""

WITHOUT_GRADIENTS = {"squareattack", "hopskipjump", "boundaryattack", "zooattack", "simba", "geoda", "signoptattack"}
"""Attacks that only look at the model's predictions."""

UNMASKING_ATTACKS = {"square", "strongest", "strongestattack"}
"""This library's own: StrongestAttack runs Square on every sample whose gradients look masked."""

IN_SHORT = {
    "gradient": "it has no gradient for attacks to follow",
    "clean_accuracy": "it is no better than guessing on clean images",
    "budget": "in the diagnosis eps let every pixel take any value",
    "random_predictions": "its predictions vary from call to call",
    "softmax_output": "it returns probabilities, which weaken the gradients",
    "zero_gradients": "its gradients vanish",
    "nan_gradients": "its gradients are not finite",
    "loss_scale": "its loss misleads gradient attacks",
    "fgsm_beats_pgd": "one large step beats many small ones, a sign of masked gradients",
    "whole_range": "it survives attacks that may choose any image, a sign of masked gradients",
    "gradient_check": "its gradient is not the derivative of its scores",
}
"""The findings of a diagnosis in a few words."""


def findings_on(evaluation: Evaluation, model: str) -> tuple[Finding, ...]:
    """The findings of a model's diagnosis, none where it was not diagnosed."""
    diagnosis = evaluation.diagnoses.get(model)
    return () if diagnosis is None else diagnosis.findings


def in_short(finding: Finding) -> str:
    """A finding in a few words."""
    return IN_SHORT.get(finding.name, finding.message.rstrip("."))


def fatal_findings(evaluation: Evaluation, model: str, attacks: Sequence[str]) -> tuple[Finding, ...]:
    """The errors of the diagnosis, where no attack was run that could work all the same.

    :param evaluation: the evaluation.
    :param model: the model's name.
    :param attacks: the names of the attacks in question.
    """
    if not attacks or any(needs_no_gradient(evaluation.conditions[name]) for name in attacks):
        return ()
    return tuple(finding for finding in findings_on(evaluation, model) if finding.severity == "error")


def reasons_to_doubt(evaluation: Evaluation, model: str, attacks: Sequence[str]) -> list[str]:
    """Why the accuracy that some attacks leave is probably too high, in a few words each.

    :param evaluation: the evaluation.
    :param model: the model's name.
    :param attacks: the names of the attacks in question.
    """
    if not attacks:
        return []
    reasons = [in_short(finding) for finding in findings_on(evaluation, model)]
    if model not in evaluation.diagnoses:
        reasons.append("it was not diagnosed")
    if all(single_step(evaluation.conditions[name]) for name in attacks):
        reasons.append("only attacks of a single step were tried")
    return reasons


def single_step(condition: Condition) -> bool:
    """Whether a condition is an attack of one step, alone or after something else."""
    if isinstance(condition, Then):
        return single_step(condition.second)
    if isinstance(condition, Union):
        return all(single_step(one) for one in condition.conditions)
    if not isinstance(condition, Attacked):
        return False
    return plain_name(condition) in SINGLE_STEP or condition.options.get("max_iter") == 1


def needs_no_gradient(condition: Condition) -> bool:
    """Whether a condition is an attack that works on a model without gradients, alone or beside something else.

    The search for the worst draw of a pipeline goes by trial where there are none.
    """
    if isinstance(condition, Then):
        return needs_no_gradient(condition.first) or needs_no_gradient(condition.second)
    if isinstance(condition, Union):
        return any(needs_no_gradient(one) for one in condition.conditions)
    if isinstance(condition, Attacked):
        return plain_name(condition) in WITHOUT_GRADIENTS | UNMASKING_ATTACKS
    return isinstance(condition, DomainAttacked)


def plain_name(condition: Attacked) -> str:
    """The name of an attack in small letters, without the library it is from."""
    return attack_name(condition.attack).lower().rpartition(":")[2]
