"""The files of a report: what they hold, in every shape an evaluation can have."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import art_domainrand
from art_domainrand.evaluation.conditions import Attacked, Clean, Composite, Corrupted, Randomized, Then
from art_domainrand.evaluation.diagnose.diagnosis import Check, Diagnosis, Finding
from art_domainrand.evaluation.outcomes import Outcomes
from art_domainrand.evaluation.report.page import write_report

from support.evaluation import made_up
from support.pages import Reader, read_report

SMALL = [Clean(), Attacked("pgd", 0.1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the report of ``written`` lies."""
    return tmp_path_factory.mktemp("written")


@pytest.fixture(scope="module")
def written(folder):
    """An evaluation, and its page as a tree, its HTML and its Markdown; with all sections but the warnings."""
    evaluation = made_up()
    return evaluation, *read_report(evaluation, folder)


def percent(row):
    return f"{100 * row.accuracy:.1f}%", f"{100 * row.low:.1f} to {100 * row.high:.1f}%"


def test_the_accuracies_stand_in_both_forms(written):
    evaluation, page, _, markdown = written
    for row in evaluation.rows():
        for text in percent(row):
            assert text in page.text
            assert text in markdown


def test_models_stand_beside_the_best(written):
    evaluation, page, _, markdown = written
    accuracy = {
        model: np.array([evaluation.accuracy(model, name).accuracy for name in evaluation.conditions])
        for model in evaluation.models
    }
    best = np.maximum(*accuracy.values())
    for model, found in accuracy.items():
        mean, lowest = (found / best).mean(), (found / best).min()
        weakest = list(evaluation.conditions)[(found / best).argmin()].replace(" > ", ", then ")
        assert f"{model} {100 * mean:.1f}% {100 * lowest:.1f}% {weakest}" in page.text
        assert f"| {model} | {100 * mean:.1f}% | {100 * lowest:.1f}% |" in markdown


@pytest.mark.usefixtures("written")
def test_the_same_evaluation_is_the_same_bytes(folder, tmp_path):
    paths = write_report(made_up(), tmp_path)
    assert [path.name for path in paths] == ["report.html", "report.md", "robustbench.json"]
    for path in paths:
        assert path.read_bytes() == (folder / path.name).read_bytes()


@pytest.mark.parametrize(
    ("models", "conditions"),
    [
        (("one",), [Clean()]),
        (("one",), [Attacked("pgd", 0.1)]),
        (("one",), [Corrupted("fog", 1), Clean()]),
        (tuple("abcde"), SMALL),
    ],
)
def test_few_and_many(tmp_path, models, conditions):
    page, _, _ = read_report(made_up(models, conditions, n=3), tmp_path)
    assert all(model in page.text for model in models)
    assert ("The models compared" in page.text) == (len(models) > 1)


def test_one_class(tmp_path):
    evaluation = made_up(("one",), SMALL, n=3)
    rows = evaluation.outcomes.rows.copy()
    rows["label"] = rows["predicted"] = 0
    rows["right"] = True
    table = Outcomes(rows, evaluation.models, evaluation.outcomes.conditions, ("only",))
    page, _, _ = read_report(replace(evaluation, outcomes=table), tmp_path)
    assert "Class by class" not in page.text


def test_a_thousand_classes(tmp_path):
    page, html, markdown = read_report(made_up(("one",), SMALL, n=2000, classes=1000), tmp_path)
    assert "The 20 lowest of 1,000 classes." in page.text
    assert len(html) < 200_000
    assert "1,000 classes" in markdown


def test_what_there_is_not_is_left_out(tmp_path):
    evaluation = replace(made_up(("one",), SMALL, n=20), samples=(), manifest={}, cost={})
    page, _, markdown = read_report(evaluation, tmp_path)
    absent = "Warnings", "What broke", "Draw by draw", "inside domains", "severity", "compared", "Command"
    for title in absent:
        assert title not in page.text
        assert title not in markdown
    assert "Verdict" in page.text


def test_nan_is_a_dash(tmp_path):
    evaluation = made_up(("one",), SMALL, n=20)
    rows = evaluation.outcomes.rows.copy()
    for name in ("margin", "confidence", "forwards", "backwards", "l2"):
        rows[name] = np.nan
    table = Outcomes(rows, evaluation.models, evaluation.outcomes.conditions, evaluation.outcomes.classes)
    page, _, markdown = read_report(replace(evaluation, outcomes=table, cost={"seconds": np.nan}), tmp_path)
    assert "As sure as" not in page.text
    for text in (page.text, markdown):
        assert not re.search(r"\bnan\b", text)


@pytest.mark.parametrize("right", [True, False])
def test_models_that_are_all_alike(tmp_path, right):
    evaluation = made_up(conditions=[*SMALL, Corrupted("fog", 1), Corrupted("fog", 2)], n=6, classes=3)
    rows = evaluation.outcomes.rows.copy()
    rows["right"] = right
    rows["confidence"][-1] = np.nan  # one answer without a probability: no calibration of that model
    table = Outcomes(rows, evaluation.models, evaluation.outcomes.conditions, evaluation.outcomes.classes)
    page, _, markdown = read_report(replace(evaluation, outcomes=table), tmp_path)
    assert page.text.count("no difference shown") == markdown.count("no difference shown") == 4
    assert ("Beside the best" in page.text) == right
    assert "Calibration of plain" in str(page.all("div"))
    assert "Calibration of robust" not in str(page.all("div"))
    for text in (page.text, markdown):
        assert not re.search(r"\b(nan|inf)\b", text)


def diagnosed(severity, name):
    finding = Finding(name, severity, {}, "Its gradients vanish.", "Look at them.")
    return Diagnosis((), {}, (finding,), (Check(name), Check("fgsm", skipped="no time")))


@pytest.mark.parametrize("severity", ["warning", "error"])
def test_warnings_stand_beside_what_they_concern(tmp_path, severity):
    conditions = [
        Clean(),
        Attacked("pgd", 0.1),
        Corrupted("fog", 3),
        Then(Corrupted("fog", 3), Attacked("pgd", 0.1)),
        Composite("sim2real", 0.1),
        Randomized("sim2real"),
    ]
    evaluation = replace(made_up(conditions=conditions), diagnoses={"robust": diagnosed(severity, "zero_gradients")})
    page, html, markdown = read_report(evaluation, tmp_path)
    rows = re.findall(r"<tr>.*?</tr>", html.partition('class="sortable"')[2].partition("</table>")[0], re.DOTALL)[1:]
    marked = [[("warnings-2" in cell, "≤" in cell) for cell in row.split("<td")[1:3]] for row in rows]
    concerned = [False, True, False, True, True, False]
    assert marked == [[(False, False), (one, one)] for one in concerned]
    assert html.count("upper bound</a>" if severity == "warning" else "not reliable</a>") == sum(concerned)
    assert "Its gradients vanish. What to do: Look at them." in page.text
    assert "Not checked: fgsm (no time)." in page.text
    assert "Its gradients vanish. Look at them." in markdown
    cards = html.split('<div class="verdict ')[1:]
    assert ("No verdict" in Reader(cards[1]).text) == (severity == "error")


def test_poor_clean_accuracy_concerns_all(tmp_path):
    evaluation = replace(made_up(("one",), SMALL), diagnoses={"one": diagnosed("warning", "clean_accuracy")})
    _, html, _ = read_report(evaluation, tmp_path)
    assert re.findall("(.)</strong>|⚠ ([a-z ]+)</a>", html.partition("<tbody>")[2].partition("</tbody>")[0]) == [
        ("%", ""),
        ("", "see warning"),
        ("%", ""),
        ("", "upper bound"),
    ]


def test_the_command_is_the_given_one(tmp_path):
    for command in (None, "art-domainrand evaluate --model 'my model.py:net'"):
        write_report(made_up(("one",), [Clean()], n=3, classes=2), tmp_path, command=command)
        text = Reader((tmp_path / "report.html").read_text(encoding="utf-8")).text
        assert (command or "art-domainrand evaluate") in text


def test_every_figure_says_what_it_shows(written):
    _, page, html, _ = written
    figures = [attributes for attributes in page.all("svg") if "role" in attributes]
    assert len(figures) >= 6
    for attributes in figures:
        assert attributes["role"] == "img"
        title, description = attributes["aria-labelledby"].split()
        assert re.search(f'<title id="{title}">[^<]+</title><desc id="{description}">[^<]+</desc>', html)
    # Their colours are the page's, so that they are seen in light and dark.
    drawn = "".join(re.findall(r"<svg viewBox.*?</svg>|<svg .*?role=\"img\".*?</svg>", html, re.DOTALL))
    assert "var(--ink)" in drawn
    assert not re.search(r"#[0-9a-fA-F]{6}\b", drawn)


def test_nothing_is_fetched(written):
    _, page, html, _ = written
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    policy = next(one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy


def test_the_page_can_be_sent(tmp_path):
    """As many samples as a full preset keeps, of the worst images for a PNG there are."""
    rng = np.random.default_rng(0)
    evaluation = made_up(conditions=[Clean(), *(Corrupted("fog", k) for k in range(1, 6))], n=20)
    images = rng.random((2, 3, 224, 224), dtype=np.float32)
    samples = tuple(replace(one, clean=images[0], changed=images[1]) for one in evaluation.samples)
    page, html, _ = read_report(replace(evaluation, samples=samples), tmp_path)
    assert len(html) < 1_500_000
    assert len(page.all("img")) >= 9


def test_every_template_is_installed():
    """The wheel holds what package-data names, and nothing else that is no module."""
    root = Path(art_domainrand.__file__).parent
    project = tomllib.loads((root.parent / "pyproject.toml").read_text(encoding="utf-8"))
    data = project["tool"]["setuptools"]["package-data"]
    found = {path for package, globs in data.items() for glob in globs for path in folder_of(package, root).glob(glob)}
    assert {path for path in (root / "evaluation" / "report" / "templates").rglob("*") if path.is_file()} <= found


def folder_of(package, root):
    return root.parent.joinpath(*package.split("."))
