"""Models and conditions by name, from whatever form they are given in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.kinds import Clean, Condition, Custom, Randomized
from art_domainrand.evaluation.run import clean
from art_domainrand.randomization.core.pipeline import Pipeline

CONDITION_RULE = (
    "be a condition such as Clean(), Attacked('pgd', eps=8/255) or Corrupted('fog', 3), or a function of estimator, x "
    "and y"
)
MODEL_RULE = (
    "be an ART estimator (for a torch module: PyTorchClassifier(module, loss, input_shape, nb_classes, "
    "clip_values=(0, 1)))"
)


def named_models(models: Any) -> dict[str, Any]:
    """Estimators by name; one alone is called "model".

    :raises TypeError: for what cannot predict.
    :raises ValueError: where there is none.
    """
    named = dict(models) if isinstance(models, Mapping) else {"model": models}
    require(named, "models", "hold at least one estimator", models)
    for name, model in named.items():
        argument = f"models[{name!r}]" if isinstance(models, Mapping) else "models"
        require(isinstance(name, str), "models", "have text for names", name, TypeError)
        require(hasattr(model, "predict"), argument, MODEL_RULE, Text(type(model).__name__), TypeError)
    return named


def named_conditions(conditions: Any, presets: Callable[[str], Sequence[Condition]]) -> dict[str, Condition]:
    """Conditions by name.

    :param conditions: a mapping from names, or one or several conditions, which have names of their own, or the name of
        a preset.
    :param presets: what a preset's name stands for.
    :raises TypeError: for what is no condition, saying what to write.
    :raises ValueError: where there is none, or a name stands twice.
    """
    if isinstance(conditions, str):
        conditions = presets(conditions)
    if isinstance(conditions, Mapping):
        named = {name: as_condition(f"conditions[{name!r}]", value, name) for name, value in conditions.items()}
    else:
        several = isinstance(conditions, Sequence)
        members = list(conditions) if several else [conditions]
        found = [
            as_condition(f"conditions[{k}]" if several else "conditions", one, "") for k, one in enumerate(members)
        ]
        named = {condition.name: condition for condition in found}
        twice = [one.name for k, one in enumerate(found) if one.name in {other.name for other in found[:k]}]
        require(not twice, "conditions", "have each name once; give a mapping from names of your own", twice)
    require(named, "conditions", "hold at least one condition", conditions)
    return named


def as_condition(argument: str, value: Any, title: str) -> Condition:
    """A value as a condition: functions and pipelines too."""
    if isinstance(value, Condition):
        return value
    if isinstance(value, Pipeline):
        return Randomized(value)
    if value is clean:
        return Clean()
    attack = value if isinstance(value, type) else type(value)
    if hasattr(attack, "generate"):
        name = attack.__name__
        makes = "attack.against" if hasattr(value, "against") and value is not attack else name
        got = Text(f"the attack {name}; write Attacked({makes}, eps=8/255), which makes one for each estimator")
        require(False, argument, CONDITION_RULE, got, TypeError)
    if isinstance(value, type) and issubclass(value, Condition):
        require(
            False, argument, CONDITION_RULE, Text(f"the class {value.__name__}; write {value.__name__}(...)"), TypeError
        )
    require(callable(value), argument, CONDITION_RULE, Text(type(value).__name__), TypeError)
    return Custom(value, title)
