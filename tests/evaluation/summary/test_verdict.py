"""The verdict: what it says, and what it must not say."""

import re
from pathlib import Path

import numpy as np
import pytest
from art.attacks.evasion import SquareAttack

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted, Custom, DomainAttacked, Randomized, Then
from art_domainrand.evaluation.diagnose import findings
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.sources.arrays import ArrayImages
from art_domainrand.evaluation.summary import Verdict, verdict
from art_domainrand.evaluation.summary.trust import IN_SHORT

from support.evaluation import made_up
from support.summary import share, tabled

CLEAN, FOG, FGSM = Clean(), Corrupted("fog", 3), Attacked("fgsm", 8 / 255)
PGD = {eps: Attacked("pgd", eps / 255) for eps in (4, 8)}
L2 = Attacked("pgd", 0.5, "l2")
PGD_1 = Attacked("pgd", 0.1, options={"max_iter": 1})


def attacked(**options):
    """Two hundred images, 180 right clean, 120 under the small attack, 80 under the large one, 20 of them not in L2.

    Those in L2 are 31 of class 0 and 29 of class 1.
    """
    kinds = {
        CLEAN: share(180, 200),
        PGD[4]: share(120, 200),
        PGD[8]: share(80, 200),
        L2: share(61, 200) & (np.arange(200) != 59),
    }
    return tabled({"net": kinds}, **options)


def test_the_sentence_in_full():
    found = verdict(attacked(), "net")
    row = Row.count("net", "union of 4", 60, 200)
    assert (found.strength, found.robust) == ("estimate", row)
    assert found.sentence == (
        f"Robust accuracy of 'net' is 30.0% (95% interval {100 * row.low:.1f}% to {100 * row.high:.1f}%) under linf up "
        "to 8/255 and l2 0.5, on 200 images of digits; clean accuracy is 90.0%, the hardest condition is pgd l2 0.5 "
        "(30.0%) and the worst class 'class 1' (29.0%, lowest of 2)."
    )
    assert found.notes[0] == "Attacks that were not tried may find more."
    assert "The classes do not differ by more than chance." in found.notes[1]
    assert Verdict.from_json(found.to_json()) == found
    assert str(found).splitlines()[0] == found.sentence


@pytest.mark.parametrize(("right", "every"), [(0, "0.0%"), (10, "10.0%"), (100, "100.0%")])
def test_where_no_class_is_worse_than_another_none_is_named(right, every):
    """Two classes take turns, so that an even number of images has as many of each."""
    found = verdict(tabled({"net": {CLEAN: share(100, 100), PGD[8]: share(right, 100)}}), "net")
    assert found.sentence.endswith(f"and every class is at {every}.")
    assert not any("class" in text for text in (found.sentence.replace("every class", ""), *found.notes))
    uneven = verdict(tabled({"net": {CLEAN: share(100, 100), PGD[8]: share(51, 100)}}), "net")
    assert "the worst class 'class 1' (50.0%, lowest of 2)" in uneven.sentence


def test_a_warning_makes_it_an_upper_bound():
    found = verdict(attacked(findings=[("random_predictions", "warning"), ("zero_gradients", "warning")]), "net")
    assert found.strength == "upper bound"
    assert "is at most 30.0% (" in found.sentence
    assert "because its predictions vary from call to call and its gradients vanish;" in found.sentence
    assert "Found zero_gradients. Mend zero_gradients." in found.notes


def test_an_error_leaves_no_number():
    found = verdict(attacked(findings=[("gradient", "error"), ("softmax_output", "warning")]), "net")
    assert (found.strength, found.robust, found.weakest, found.worst) == ("none", None, None, None)
    assert found.sentence.startswith("No verdict on 'net': it has no gradient for attacks to follow")
    assert not re.search(r"\d", found.sentence)
    assert found.notes == ("Found gradient. Mend gradient.",)
    assert Verdict.from_json(found.to_json()) == found


def test_a_model_that_was_not_diagnosed_has_an_upper_bound():
    found = verdict(attacked(diagnosed=False), "net")
    assert (found.strength, "because it was not diagnosed;" in found.sentence) == ("upper bound", True)


@pytest.mark.parametrize(
    "search",
    [
        Attacked("square", 8 / 255),
        Attacked("strongest", 8 / 255),  # runs Square on whoever's gradients look masked
        Attacked("art:SquareAttack", 8 / 255),
        Attacked(SquareAttack, 8 / 255),
        Then(FOG, Attacked("art:HopSkipJump", 8 / 255)),
        DomainAttacked("sim2real"),
    ],
)
def test_attacks_without_gradients_work_where_there_are_none(search):
    kinds = {CLEAN: share(90, 100), search: share(50, 100)}
    found = verdict(tabled({"net": kinds}, findings=[("gradient", "error")]), "net")
    assert (found.strength, found.robust.accuracy) == ("upper bound", 0.5)
    assert "because it has no gradient for attacks to follow;" in found.sentence
    kinds = {CLEAN: share(90, 100), PGD[8]: share(50, 100)}
    assert verdict(tabled({"net": kinds}, findings=[("gradient", "error")]), "net").strength == "none"


@pytest.mark.parametrize("after", [FGSM, Then(FOG, FGSM), Attacked("art:FastGradientMethod", 0.1), PGD_1])
def test_single_step_attacks_alone_give_an_upper_bound(after):
    kinds = {CLEAN: share(90, 100), FGSM: share(50, 100), after: share(50, 100)}
    found = verdict(tabled({"net": kinds}), "net")
    assert found.strength == "upper bound"
    assert "an upper bound because only attacks of a single step were tried" in found.sentence
    kinds[PGD[8]] = share(50, 100)
    assert verdict(tabled({"net": kinds}), "net").strength == "estimate"


def test_few_images_are_called_few():
    found = verdict(tabled({"net": {CLEAN: share(3, 3), PGD[8]: share(2, 3)}}), "net")
    assert "on only 3 images of digits" in found.sentence
    one = verdict(tabled({"net": {CLEAN: share(1, 1)}}), "net")
    assert "on only 1 image of digits" in one.sentence
    assert one.worst is None


def test_without_attacks_nothing_is_said_of_an_adversary():
    found = verdict(tabled({"net": {CLEAN: share(90, 100), FOG: share(50, 100)}}, diagnosed=False), "net")
    assert "is 50.0%" in found.sentence
    assert "no attack was tried" in found.sentence
    assert "obust" not in found.sentence
    clean = verdict(tabled({"net": {CLEAN: share(90, 100)}}), "net")
    assert "says nothing of robustness" in clean.sentence


def test_other_conditions_stand_beside_the_attacks():
    """Fog loses images that no attack takes: robust accuracy is under attack, the note is on everything."""
    kinds = {CLEAN: share(100, 100), PGD[8]: share(80, 100), FOG: ~share(30, 100)}
    found = verdict(tabled({"net": kinds}), "net")
    assert "is 80.0%" in found.sentence
    assert found.weakest is not None
    assert found.weakest.cell == "fog 3"
    assert found.notes[0].startswith("In all 3 conditions at once: 50.0% (")


def test_draws_are_counted_at_their_worst():
    kinds = {CLEAN: [share(100, 100)] * 4, PGD[8]: [share(80, 100), share(80, 100), share(70, 100), share(80, 100)]}
    found = verdict(tabled({"net": kinds}), "net")
    assert "is 70.0%" in found.sentence
    assert found.notes[0] == (
        "An image counts as right only if it is right in every one of up to 4 draws; in a single draw pgd linf 8/255 "
        "leaves 77.5% on average."
    )


def test_what_has_no_ball_is_named_or_counted():
    kinds = {CLEAN: share(9, 10), PGD[8]: share(5, 10), DomainAttacked("sim2real"): share(4, 10)}
    assert "under linf 8/255 and worst sim2real, on" in verdict(tabled({"net": kinds}), "net").sentence
    kinds |= {Custom(max): share(4, 10), Then(FOG, PGD[8]): share(4, 10)}
    assert "under linf 8/255 and 3 other attacks, on" in verdict(tabled({"net": kinds}), "net").sentence
    ours = tabled({"net": {CLEAN: share(9, 10), Custom(max): share(4, 10)}}, names=["plain", "my attack"])
    assert "under my attack, on" in verdict(ours, "net").sentence


def test_what_random_draws_lose_is_no_attack():
    kinds = {CLEAN: share(9, 10), Randomized("sim2real"): share(4, 10)}
    assert "no attack was tried" in verdict(tabled({"net": kinds}), "net").sentence


def test_unnamed_data_and_unknown_models():
    assert "of made up" in verdict(made_up(), "plain").sentence
    source = ArrayImages(np.zeros((1, 3, 8, 8), np.float32), np.zeros(1, int))
    assert "on 200 images; clean" in verdict(attacked(data=source.name), "net").sentence
    assert "of the data" in verdict(attacked(data=None), "net").sentence
    with pytest.raises(ValueError, match="did you mean 'net'"):
        verdict(attacked(), "nets")


def test_every_finding_is_said_in_short():
    """The names of the findings are the names of the functions that make them; one makes another."""
    source = re.findall(r'return Finding\(\s*"(\w+)"', Path(findings.__file__).read_text())
    assert set(IN_SHORT) == set(source)
    unknown = verdict(attacked(findings=[("new_check", "warning")]), "net")
    assert "because Found new_check;" in unknown.sentence
