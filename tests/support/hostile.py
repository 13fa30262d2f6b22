"""An evaluation in which every name was written by somebody who wants the page to break."""

from dataclasses import replace

import numpy as np

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted, Custom, Randomized, Then
from art_domainrand.evaluation.diagnose.diagnosis import Check, Diagnosis, Finding
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.outcomes import Outcomes

from support.evaluation import made_up

NASTY = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "</style></title></script><style>* { display: none }</style>",
    "' onmouseover='window.hacked = 1",
    "{{ 7 * 7 }}{% include 'page.css' %}",
    "\u202egnp.exe\u202c",
    "اسم طويل بالعربية",
    "名前と写真",
    "a" * 3000,
    "nul \x00 bell \x07 escape \x1b[31m",
    "lone \udcff surrogate",
    "$\\frac{1}{0}$ and 50% of $5",
    "|`pipe`| *star* _line_ [link](javascript:alert(1)) www.evil.example https://evil.example/x",
    "two\nlines\r\nand\ttabs",
    "&amp;&lt;b&gt; <!-- -->",
    "",
)
"""What must be shown as it is."""


def named(name):
    """An attack, or a condition's function, of that name."""

    def function(*_, **__):
        raise AssertionError("no page runs anything")

    function.__name__ = name
    return function


def findings(nasty):
    """A diagnosis whose every text is nasty."""
    checks = tuple(Check(f"{k} {text}") for k, text in enumerate(nasty)), Check("last", skipped=nasty[0])
    found = tuple(
        Finding(check.name, severity, {}, text, text)
        for check, severity, text in zip(checks[0], ("warning", "error") * 8, nasty[::-1], strict=False)
        if severity == "warning"
    )
    return Diagnosis((), {}, found, (*checks[0], checks[1]))


def hostile(nasty=NASTY):
    """As many conditions, models, classes and samples as there are names; numbers that are not are among them."""
    conditions = [
        Clean(),
        *(Attacked(attack, eps / 255) for attack in map(named, nasty[:6]) for eps in (1, 2)),
        *(Custom(named("f"), text or "empty") for text in nasty),
        Randomized("sim2real", draws=3),
        Then(Custom(named("g"), nasty[0]), Attacked(named(nasty[1]), 1 / 255)),
        Then(Corrupted("fog", 3), Attacked(named(nasty[2]), 1.0, "l2")),
    ]
    plain = made_up(nasty[:2], conditions, n=40, classes=len(nasty))
    rows = plain.outcomes.rows.copy()
    rows["margin"][::7] = np.nan
    rows["confidence"][::5] = np.nan
    rows["forwards"] = np.nan
    table = Outcomes(rows, plain.models, plain.outcomes.conditions, nasty)
    samples = tuple(
        replace(one, label=text, before=text, after=nasty[0], words=text, source=text)
        for one, text in zip(plain.samples, nasty * 20, strict=False)
    )
    manifest = {
        "command": nasty[0],
        "data": {"name": nasty[1], "n": 40},
        "versions": dict.fromkeys(nasty, "1.0"),
        "nothing": None,
        "list": list(nasty),
    }
    diagnoses = {nasty[0]: findings(nasty)}
    return Evaluation(table, plain.conditions, manifest, diagnoses, samples, {"seconds": np.nan, nasty[0]: nasty[1]})
