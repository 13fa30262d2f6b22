"""Evaluations with a table that a test writes down."""

import numpy as np

from art_domainrand.evaluation.diagnose.diagnosis import Check, Diagnosis, Finding
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.outcomes import Outcomes

from support.evaluation import outcome_rows


def tabled(right, *, classes=2, findings=(), diagnosed=True, data="digits", names=None):
    """An evaluation of ``right``: model -> {condition: booleans (N,) or (draws, N)}; sample k is of class k % classes.

    ``findings``: pairs of the name and the severity of what the diagnosis of every model found. ``names``: what the
    conditions are called, by default what they call themselves.
    """
    models = list(right)
    conditions = list(right[models[0]])
    called = [condition.name for condition in conditions] if names is None else list(names)
    parts = [
        outcome_rows(m, c, np.atleast_2d(np.asarray(right[model][condition], bool)), classes=classes)
        for m, model in enumerate(models)
        for c, condition in enumerate(conditions)
    ]
    table = Outcomes.joined(parts, models, called, [f"class {k}" for k in range(classes)])
    found = tuple(Finding(name, severity, {}, f"Found {name}.", f"Mend {name}.") for name, severity in findings)
    checks = tuple(Check(name) for name, _ in findings)
    diagnoses = {model: Diagnosis((), {}, found, checks) for model in models} if diagnosed else {}
    return Evaluation(table, dict(zip(called, conditions, strict=True)), {"data": {"name": data}}, diagnoses)


def share(right, n):
    """The first ``right`` of ``n`` samples right."""
    return np.arange(n) < right
