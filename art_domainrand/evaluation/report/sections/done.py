"""What was done to an image, without what the name of the condition beside it says already."""

from __future__ import annotations

from art_domainrand.evaluation.conditions.kinds import Condition, Corrupted, InDomain, Then
from art_domainrand.evaluation.report.wording import IN_TURN, name_in_words

DONE_IN_TURN = "; then "
"""What stands between the parts of what was done."""

AT_SEVERITY = " at severity "


def words_beyond_the_name(words: str, condition: Condition, shown: str) -> str:
    """What was done to an image, as far as the condition's name does not say it.

    :param words: what was done, the parts in turn.
    :param condition: the condition.
    :param shown: what it is called on the page.
    """
    told = shown.split(IN_TURN)
    left = words.split(DONE_IN_TURN)
    for part in parts_in_turn(condition):
        if isinstance(part, (Corrupted, InDomain)):
            left = [new_in(text, part, told=name_in_words(part) in told) for text in left]
    return DONE_IN_TURN.join(text for text in left if text)


def parts_in_turn(condition: Condition) -> list[Condition]:
    """A condition, or those that it does one after the other."""
    if isinstance(condition, Then):
        return [*parts_in_turn(condition.first), *parts_in_turn(condition.second)]
    return [condition]


def new_in(text: str, part: Corrupted | InDomain, *, told: bool) -> str:
    """One part of what was done, without its name and severity where they are told, and never with them twice."""
    name = part.corruption if isinstance(part, Corrupted) else part.called
    head, *rest = text.split(", ")
    if squeezed(head.removeprefix("domain ")) != squeezed(f"{name}{AT_SEVERITY}{part.severity}"):
        return text
    # The transform of a domain is called by another word ("Foggy") and has the same severity.
    rest = [one for one in rest if not one.endswith(f" severity {part.severity}")]
    return ", ".join(rest if told else [head, *rest])


def squeezed(text: str) -> str:
    """A text without what tells "Motion_Blur", "motion blur" and "MotionBlur" apart."""
    return text.replace("_", "").replace(" ", "").casefold()
