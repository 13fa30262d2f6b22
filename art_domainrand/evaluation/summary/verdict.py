"""One sentence on a model, never stronger than what was done and what the diagnosis found allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from art_domainrand.evaluation.conditions.kinds import Attacked, Condition
from art_domainrand.evaluation.conditions.names import NORMS, eps_text
from art_domainrand.evaluation.diagnose.diagnosis import Finding
from art_domainrand.evaluation.diagnose.findings import percent
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.classes import WorstClass, class_accuracy, worst_class
from art_domainrand.evaluation.summary.record import SummaryRecord
from art_domainrand.evaluation.summary.threats import check_names, kind_of, names_of_kind
from art_domainrand.evaluation.summary.trust import fatal_findings, findings_on, in_short, reasons_to_doubt
from art_domainrand.evaluation.summary.union import union

STRENGTHS = ("none", "upper bound", "estimate")
"""No number may be given; the true one can only be lower, and there is a reason to think that it is; as good as the
attacks that were run."""

FEW_IMAGES = 100
"""Fewer images than this are called few."""

UNNAMED = "arrays"
"""What images that were given as arrays are called: nothing that a sentence should name."""

FEW_NAMES = 3
"""As many attacks or more without a ball of their own are only counted."""


@dataclass(frozen=True)
class Verdict(SummaryRecord):
    """What may be said of a model.

    :param model: the model's name.
    :param strength: one of :data:`STRENGTHS`.
    :param sentence: the verdict.
    :param notes: what else a reader must know, a sentence each.
    :param robust: the accuracy under the union of what an adversary chose, or of all conditions where no attack was
        run; None where no number may be given.
    :param weakest: the condition of least accuracy; None as above.
    :param worst: the class of least accuracy under that union; None as above, and for a single class.
    """

    model: str
    strength: str
    sentence: str
    notes: tuple[str, ...]
    robust: Row | None
    weakest: Row | None
    worst: WorstClass | None

    def __str__(self) -> str:
        return "\n".join([self.sentence, *(f"- {note}" for note in self.notes)])


def verdict(evaluation: Evaluation, model: str) -> Verdict:
    """The verdict on a model.

    An "error" of the diagnosis leaves no verdict on attacks by gradients, which cannot work; where others were run too,
    it counts as a warning. A "warning", a missing diagnosis, or nothing but single-step attacks make the number an
    upper bound, and the sentence says why. (Every accuracy under attack is one: other attacks may find more. Without
    such a reason it is called an estimate.) Functions of the user's are counted as attacks.

    :param evaluation: the evaluation.
    :param model: the model's name.
    :raises ValueError: if there is no such model.
    """
    check_names("model", [model], evaluation.models)
    attacks = names_of_kind(evaluation, "attacked", "custom")
    errors = fatal_findings(evaluation, model, attacks)
    if errors:
        sentence = (
            f"No verdict on {model!r}: {enumerated(map(in_short, errors))}, so attacks by gradients say nothing of it."
        )
        return Verdict(model, "none", sentence, tuple(advice(errors)), None, None, None)
    threats = [*names_of_kind(evaluation, "clean"), *attacks] if attacks else list(evaluation.conditions)
    found = union(evaluation, model, threats)
    everything = union(evaluation, model)
    per_class = class_accuracy(evaluation, model, threats)
    worst = worst_class(per_class) if len(per_class) > 1 else None
    reasons = reasons_to_doubt(evaluation, model, attacks)
    sentence = f"{claim(evaluation, found.row, attacks, reasons)}; {details(evaluation, everything.weakest, worst)}."
    notes = notes_on(evaluation, model, threats, attacks, worst)
    if attacks and len(everything.conditions) > len(threats):
        notes.insert(0, f"In all {len(everything.conditions)} conditions at once: {with_interval(everything.row)}.")
    strength = "upper bound" if reasons else "estimate"
    notes += advice(findings_on(evaluation, model))
    return Verdict(model, strength, sentence, tuple(notes), found.row, everything.weakest, worst)


def claim(evaluation: Evaluation, row: Row, attacks: Sequence[str], reasons: Sequence[str]) -> str:
    """What is said of the union: how much, how sure, of what, under what, and why only at most."""
    few = "only " if row.n < FEW_IMAGES else ""
    images = f"{few}{row.n} image{'' if row.n == 1 else 's'}{of_data(evaluation)}"
    if attacks:
        bound = "at most " if reasons else ""
        because = f", an upper bound because {enumerated(reasons)}" if reasons else ""
        threat = threats_in_words({name: evaluation.conditions[name] for name in attacks})
        return f"Robust accuracy of {row.model!r} is {bound}{with_interval(row)} under {threat}, on {images}{because}"
    if all(kind_of(condition) == "clean" for condition in evaluation.conditions.values()):
        return f"Accuracy of {row.model!r} is {with_interval(row)} on {images}, which says nothing of robustness"
    return (
        f"Accuracy of {row.model!r} in the worst of {len(evaluation.conditions)} conditions for each image is "
        f"{with_interval(row)}, on {images}; no attack was tried, so this says nothing of an adversary"
    )


def details(evaluation: Evaluation, weakest: Row, worst: WorstClass | None) -> str:
    """The clean accuracy, the hardest condition and the worst class."""
    clean = [evaluation.accuracy(weakest.model, name).accuracy for name in names_of_kind(evaluation, "clean")[:1]]
    parts = [f"clean accuracy is {percent(accuracy)}" for accuracy in clean]
    parts += [f"the hardest condition is {weakest.cell} ({percent(weakest.accuracy)})"]
    if worst is not None:
        lowest = f"the worst class {worst.row.cell!r} ({percent(worst.row.accuracy)}, lowest of {worst.classes})"
        parts.append(f"every class is at {percent(worst.row.accuracy)}" if worst.is_every_class else lowest)
    return enumerated(parts)


def notes_on(
    evaluation: Evaluation, model: str, threats: Sequence[str], attacks: Sequence[str], worst: WorstClass | None
) -> list[str]:
    """What else a reader must know of the number."""
    notes = []
    draws = max(len(evaluation.outcomes.of(model, name)) for name in threats)
    if draws > 1:
        alone = min((evaluation.accuracy(model, name) for name in threats), key=lambda row: row.accuracy)
        notes.append(
            f"An image counts as right only if it is right in every one of up to {draws} draws; in a single draw "
            f"{alone.cell} leaves {percent(alone.accuracy)} on average."
        )
    if attacks:
        notes.append("Attacks that were not tried may find more.")
    if worst is not None and not worst.is_every_class:
        equal = "" if worst.stands_out else " The classes do not differ by more than chance."
        notes.append(
            f"The lowest of {worst.classes} classes is low partly by chance: allowing for that, the accuracy of "
            f"{worst.row.cell!r} is between {percent(worst.low)} and {percent(worst.high)} "
            f"({worst.row.n} image{'' if worst.row.n == 1 else 's'}).{equal}"
        )
    return notes


def threats_in_words(conditions: Mapping[str, Condition]) -> str:
    """The attacks by norm and largest radius; what has no ball around the clean images by name, or counted."""
    balls = {
        norm: [one.eps for one in conditions.values() if isinstance(one, Attacked) and one.norm == norm]
        for norm in NORMS
    }
    parts = [
        f"{norm} {'up to ' if len(set(radii)) > 1 else ''}{eps_text(max(radii))}"
        for norm, radii in balls.items()
        if radii
    ]
    other = [name for name, one in conditions.items() if not isinstance(one, Attacked)]
    return enumerated([*parts, *(other if len(other) < FEW_NAMES else [f"{len(other)} other attacks"])])


def advice(findings: Sequence[Finding]) -> list[str]:
    """What the diagnosis says in full."""
    return [f"{finding.message} {finding.advice}" for finding in findings]


def with_interval(row: Row) -> str:
    """An accuracy with its interval."""
    return f"{percent(row.accuracy)} (95% interval {percent(row.low)} to {percent(row.high)})"


def data_name(evaluation: Evaluation) -> str:
    """What the data are called."""
    data = evaluation.manifest.get("data")
    name = data.get("name") if isinstance(data, dict) else None
    return str(name) if name else "the data"


def of_data(evaluation: Evaluation) -> str:
    """What follows "images": of which data; empty for data without a name of their own."""
    name = data_name(evaluation)
    return "" if name == UNNAMED else f" of {name}"


def enumerated(parts: Iterable[str]) -> str:
    """Texts as a list in a sentence."""
    *most, last = list(parts)
    return f"{', '.join(most)} and {last}" if most else last
