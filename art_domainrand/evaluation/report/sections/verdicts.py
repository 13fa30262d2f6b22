"""The verdict on each model, with the numbers behind it and the warnings that concern them."""

from __future__ import annotations

from dataclasses import dataclass

from art_domainrand.evaluation.diagnose.diagnosis import Check, Finding
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.threats import names_of_kind
from art_domainrand.evaluation.summary.trust import findings_on
from art_domainrand.evaluation.summary.verdict import Verdict, advice, verdict

STRENGTH_WORDS = {"estimate": "Estimate", "upper bound": "Upper bound", "none": "No verdict"}


@dataclass(frozen=True)
class Tile:
    """A number that is read at a glance.

    :param title: what it is.
    :param row: it, with its interval.
    :param detail: of what, such as the name of a class; empty where the title says it all.
    """

    title: str
    row: Row
    detail: str


@dataclass(frozen=True)
class VerdictCard:
    """What the page says first of a model.

    :param model: the model's name.
    :param verdict: what may be said of it.
    :param strength: how much that is, in words.
    :param notes: what else must be known; of the findings no more than that there are some.
    :param tiles: the numbers.
    :param findings: what its diagnosis found.
    :param skipped: checks that could not be made.
    :param diagnosed: whether there was a diagnosis.
    """

    model: str
    verdict: Verdict
    strength: str
    notes: tuple[str, ...]
    tiles: tuple[Tile, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[Check, ...]
    diagnosed: bool

    @property
    def claim(self) -> tuple[str, str]:
        """The sentence in two: how robust the model is, and the rest."""
        claim, _, rest = self.verdict.sentence.partition("; ")
        return claim, rest


def verdict_cards(evaluation: Evaluation) -> tuple[VerdictCard, ...]:
    """A card for each model."""
    return tuple(card_of(evaluation, model) for model in evaluation.models)


def card_of(evaluation: Evaluation, model: str) -> VerdictCard:
    """The card of a model."""
    said = verdict(evaluation, model)
    diagnosis = evaluation.diagnoses.get(model)
    findings = findings_on(evaluation, model)
    return VerdictCard(
        model,
        said,
        STRENGTH_WORDS[said.strength],
        tuple(note for note in said.notes if note not in advice(findings)),
        tiles_of(evaluation, model, said),
        findings,
        () if diagnosis is None else tuple(check for check in diagnosis.checks if check.skipped),
        diagnosis is not None,
    )


def tiles_of(evaluation: Evaluation, model: str, said: Verdict) -> tuple[Tile, ...]:
    """Clean accuracy, and as far as the verdict has them the robust one, the hardest condition and the worst class."""
    clean = names_of_kind(evaluation, "clean")[:1]
    attacked = bool(names_of_kind(evaluation, "attacked", "custom"))
    tiles = [Tile("Clean accuracy", evaluation.accuracy(model, name), "") for name in clean]
    if said.robust is not None and len(evaluation.conditions) > len(clean):
        title = "Robust accuracy" if attacked else "Right in every condition"
        tiles.append(Tile(title, said.robust, "in the worst attack for each image" if attacked else ""))
    if said.weakest is not None and said.weakest.cell not in clean:
        tiles.append(Tile("Hardest condition", said.weakest, said.weakest.cell))
    if said.worst is not None:
        where = ", in the worst attack for each image" if attacked else ""
        which = "every class" if said.worst.is_every_class else f"class {said.worst.row.cell!r}"
        tiles.append(Tile("Worst class", said.worst.row, f"{which}{where}"))
    return tuple(tiles)
