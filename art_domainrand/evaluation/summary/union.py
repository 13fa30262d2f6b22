"""Many threats at once: the worst case of each sample, and accuracy beside what others reach."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.kinds import Attacked
from art_domainrand.evaluation.conditions.names import eps_text, norm_name
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.record import SummaryRecord
from art_domainrand.evaluation.summary.threats import always_right, check_names, counted, names_of_kind

LOCALITY = 0.03
"""How near two conditions' reference accuracies must be for the stability constant (three points, as on the leaderboard
of MultiRobustBench)."""

SAME_EPS = 1e-6
"""How far, relatively, two radii may be apart that are the same."""


@dataclass(frozen=True)
class ThreatUnion(SummaryRecord):
    """How often a model is right whatever of several things is done to an image.

    :param row: the share of samples that are right in every condition and draw, with Wilson's interval.
    :param mean: the mean of the conditions' accuracies.
    :param weakest: the condition of least accuracy; the union is never above it.
    :param conditions: the names of the conditions.
    """

    row: Row
    mean: float
    weakest: Row
    conditions: tuple[str, ...]


def union(evaluation: Evaluation, model: str, conditions: Sequence[str] | None = None) -> ThreatUnion:
    """The per-sample worst case: a sample counts as robust if the model is right in every condition and every draw.

    This is robustness against an adversary who may choose among the conditions for each image (Tramer & Boneh 2019,
    "Adversarial Training and Robustness for Multiple Perturbations", section 2), as far as the conditions search.

    :param evaluation: the evaluation.
    :param model: the model's name.
    :param conditions: the names of the conditions, by default all, the clean images included: the adversary may do
        nothing.
    :raises ValueError: for an unknown name, or conditions over different samples.
    """
    chosen = tuple(evaluation.conditions) if conditions is None else tuple(conditions)
    right = always_right(evaluation.outcomes, model, chosen)
    rows = [evaluation.accuracy(model, condition) for condition in chosen]
    row = counted(model, f"union of {len(chosen)}" if len(chosen) > 1 else chosen[0], right)
    return ThreatUnion(
        row, sum(one.accuracy for one in rows) / len(rows), min(rows, key=lambda one: one.accuracy), chosen
    )


def attacks_within(evaluation: Evaluation, norm: str | float, eps: float) -> tuple[str, ...]:
    """The names of the attacks whose images lie in a ball: those of its norm at its radius and at smaller ones.

    Attacks inside a domain or a corruption are not among them, since their images leave the ball.

    :param evaluation: the evaluation.
    :param norm: "linf", "l2", "l1" or "l0", or as a number.
    :param eps: the radius.
    :raises ValueError: if no attack of the norm was run at exactly the radius; says at which there were.
    """
    order = norm_name(norm)
    attacks = {name: one for name, one in evaluation.conditions.items() if isinstance(one, Attacked)}
    of_norm = {name: one.eps for name, one in attacks.items() if one.norm == order}
    here = any(math.isclose(radius, eps, rel_tol=SAME_EPS) for radius in of_norm.values())
    known = sorted({(one.norm, one.eps) for one in attacks.values()})
    ran = ", ".join(f"{one} {eps_text(radius)}" for one, radius in known) or "no attack"
    require(here, "norm and eps", f"be those of an attack that was run ({ran})", Text(f"{order} {eps_text(eps)}"))
    return tuple(name for name, radius in of_norm.items() if radius <= eps * (1 + SAME_EPS))


def robust_accuracy(evaluation: Evaluation, model: str, norm: str | float, eps: float) -> Row:
    """The accuracy left by all attacks of a norm within a radius: their union, with the clean images.

    An example that one attack finds at a smaller radius lies in the larger ball, too, whichever attack was run there.

    :param evaluation: the evaluation.
    :param model: the model's name.
    :param norm: "linf", "l2", "l1" or "l0", or as a number.
    :param eps: the radius.
    :raises ValueError: as :func:`attacks_within` does.
    """
    within = attacks_within(evaluation, norm, eps)
    right = always_right(evaluation.outcomes, model, [*names_of_kind(evaluation, "clean"), *within])
    return counted(model, f"robust {norm_name(norm)} {eps_text(eps)}", right)


@dataclass(frozen=True)
class Competitiveness(SummaryRecord):
    """Accuracy over reference accuracy, over several conditions.

    :param mean: the mean of the ratios (CR_ind-avg).
    :param minimum: the least of the ratios (CR_ind-worst).
    :param weakest: the condition in which it is least.
    :param stability: the stability constant; None if no two conditions qualify.
    :param conditions: the names of the conditions.
    :param ratios: the ratio in each of them.
    :param reference: where the reference comes from, in words.
    """

    mean: float
    minimum: float
    weakest: str
    stability: float | None
    conditions: tuple[str, ...]
    ratios: tuple[float, ...]
    reference: str


def competitiveness(
    evaluation: Evaluation,
    model: str,
    reference: Mapping[str, float] | None = None,
    *,
    seen: Sequence[str] = (),
) -> Competitiveness:
    """MultiRobustBench's competitiveness ratios and stability constant (Dai et al., ICML 2023).

    With a_c the model's accuracy in a condition c and r_c the reference, the ratios are a_c / r_c; CR_ind-avg is their
    mean and CR_ind-worst their minimum over all conditions, the clean images being one of them as there. The stability
    constant is the largest |a_c - a_d| / |r_c - r_d| over pairs of a condition c that the model was made for (the clean
    images always are) and any other d, where 0 < |r_c - r_d| < .03.

    The paper's reference is what training against exactly that attack reaches, by ResNet-18 on CIFAR-10, for nine
    attacks at twenty strengths. Its published table applies to CIFAR-10 and those attacks alone: give it as
    ``reference`` there, and the numbers are the leaderboard's over the conditions given (as ratios, not percent).
    Without it the reference is the best accuracy of any model of this table in the condition: a comparison among these
    models, on another scale than the leaderboard's.

    :param evaluation: the evaluation.
    :param model: the model's name.
    :param reference: accuracies in (0, 1] by the names of conditions, which say what is averaged over; by default the
        best of this table in every condition in which some model is ever right.
    :param seen: the names of the conditions the model was trained against, for the stability constant.
    :raises ValueError: for unknown names and accuracies outside (0, 1].
    """
    check_names("model", [model], evaluation.models)
    best = _best_of_table(evaluation) if reference is None else dict(reference)
    check_names("reference", list(best), list(evaluation.conditions))
    for name, accuracy in best.items():
        require(0 < accuracy <= 1, f"reference[{name!r}]", "be an accuracy in (0, 1]", accuracy)
    if seen:
        check_names("seen", seen, list(best))
    own = {name: evaluation.accuracy(model, name).accuracy for name in best}
    ratios = {name: own[name] / best[name] for name in best}
    weakest = min(ratios, key=lambda name: ratios[name])
    told = "the best model of this table" if reference is None else "given"
    made_for = [name for name in best if name in (*names_of_kind(evaluation, "clean"), *seen)]
    return Competitiveness(
        sum(ratios.values()) / len(ratios),
        ratios[weakest],
        weakest,
        _stability(own, best, made_for),
        tuple(ratios),
        tuple(ratios.values()),
        told,
    )


def _best_of_table(evaluation: Evaluation) -> dict[str, float]:
    """The best accuracy in each condition in which a model is ever right."""
    found = {
        name: max(evaluation.accuracy(model, name).accuracy for model in evaluation.models)
        for name in evaluation.conditions
    }
    return {name: accuracy for name, accuracy in found.items() if accuracy > 0}


def _stability(own: Mapping[str, float], best: Mapping[str, float], made_for: Sequence[str]) -> float | None:
    """The largest change of accuracy beside a small change of the reference."""
    near = [
        abs(own[c] - own[d]) / gap for c in made_for for d in best if 0 < (gap := abs(best[c] - best[d])) < LOCALITY
    ]
    return max(near, default=None)
