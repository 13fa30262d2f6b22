"""robustbench.json: RobustBench's fields, with the table's numbers and no other claim."""

import json
from dataclasses import replace

import numpy as np
import pytest

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted
from art_domainrand.evaluation.diagnose.diagnosis import Check, Diagnosis, Finding
from art_domainrand.evaluation.report.robustbench import robustbench_text
from art_domainrand.randomization.corruptions import COMMON

from support.evaluation import made_up


def entries(evaluation):
    document = json.loads(robustbench_text(evaluation))
    assert "not RobustBench" in document["source"]
    return document["entries"]


def share(right):
    return f"{100 * right.mean():.2f}"


def test_the_numbers_are_the_tables():
    evaluation = made_up()
    right = {
        (model, name): evaluation.outcomes.right(model, name)[0]
        for model in evaluation.models
        for name in evaluation.conditions
    }
    found = entries(evaluation)
    assert [(one["name"], one["threat_model"], one["eps"]) for one in found] == [
        (model, *ball)
        for model in evaluation.models
        for ball in [*(("Linf", f"{k}/255") for k in (1, 2, 4, 8)), ("L2", "1")]
    ]
    for one in found:
        condition = "strongest l2 1" if one["threat_model"] == "L2" else f"pgd linf {one['eps']}"
        both = right[one["name"], "clean"] & right[one["name"], condition]
        assert one["clean_acc"] == share(right[one["name"], "clean"])
        assert one["robust_acc"] == share(both)
        low, high = map(float, one["robust_acc_interval"])
        assert low <= float(one["robust_acc"]) <= high
        assert one["n_examples"] == 200
        assert one["external"] is False
        assert one["unreliable"] is None
        assert "autoattack_acc" not in one


def test_attacks_of_one_ball_are_one_entry():
    evaluation = made_up(("one",), [Clean(), Attacked("pgd", 0.1), Attacked("art:AutoAttack", 0.1)])
    (one,) = entries(evaluation)
    assert one["attacks"] == ["pgd", "art:AutoAttack"]
    right = [evaluation.outcomes.right("one", name)[0] for name in evaluation.conditions]
    assert one["robust_acc"] == share(np.logical_and.reduce(right))
    assert one["autoattack_acc"] == share(right[2])


@pytest.mark.parametrize("severities", [range(1, 6), range(1, 5)])
def test_corruptions_need_all_of_them(severities):
    conditions = [Corrupted(name, severity) for name in COMMON for severity in severities]
    evaluation = made_up(("one",), [Clean(), *conditions], n=40)
    found = entries(evaluation)
    if len(severities) < 5:
        assert found == []
    else:
        right = [evaluation.outcomes.right("one", one.name) for one in conditions]
        assert [one["corruptions_acc"] for one in found] == [share(np.stack(right))]


@pytest.mark.parametrize("found", [(), (Finding("fgsm", "warning", {}, "m", "a"),)])
def test_what_a_diagnosis_doubts_is_unreliable(found):
    evaluation = made_up(("one",), [Clean(), Attacked("pgd", 0.1)])
    evaluation = replace(evaluation, diagnoses={"one": Diagnosis((), {}, found, (Check("fgsm"),))})
    assert [one["unreliable"] for one in entries(evaluation)] == [bool(found)]
