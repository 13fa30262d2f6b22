"""The demo on its own path, from the command to the files, and the bars that its models must clear."""

import json
import os
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from typer.testing import CliRunner

from art_domainrand import PGD
from art_domainrand.cli import app
from art_domainrand.data import digits
from art_domainrand.demo import run_demo, steps, training
from art_domainrand.demo.recipes import EPS, HELD_OUT_DOMAIN, RECIPES, TRAINING_DOMAIN, Recipe
from art_domainrand.demo.steps import JUDGED_UNDER
from art_domainrand.demo.training import private_randomness
from art_domainrand.evaluation import Report, evaluate, load_evaluation
from art_domainrand.evaluation.running.attacks import make_attack
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.perform import perform
from art_domainrand.randomization import OneOf, Rotation

MODELS = ("standard", "adversarial", "randomized", "both")
CELLS = ("clean", "fgsm", "pgd", "shift", "shift_pgd")
EPOCHS = int(os.environ.get("DEMO_EPOCHS", "6"))
"""A fifth of the command's show what each kind of training is good for; ``.ci/run`` asks for all of them."""
WHOLE = EPOCHS >= 16
OF_THE_GAIN = 1 if WHOLE else 0.25  # points that are asked for: 45, 25 and 40 of a whole run
TESTED = 397 if WHOLE else 200


def fewer_digits(seed):
    """The digits of the demo, so many of them to be tested on."""
    train, test = digits(seed=seed)
    return train, test[:TESTED]


def global_state():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), torch.get_num_threads()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One run of the command: (result, folder, report)."""
    out = tmp_path_factory.mktemp("demo") / "new"
    before = global_state()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(steps, "train_all", partial(training.train_all, epochs=EPOCHS))
        patched.setattr(steps, "digits", fewer_digits)
        result = CliRunner().invoke(app, ["demo", "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    assert global_state() == before
    return result, out, Report.load(out / "report.json")


def test_adversarial_training_gains_under_pgd(demo):
    assert demo[2].gain("adversarial", "standard", "pgd") >= 45 * OF_THE_GAIN


def test_randomization_gains_under_shift(demo):
    assert demo[2].gain("randomized", "standard", "shift") >= 25 * OF_THE_GAIN


def test_both_keep_clean_accuracy_and_gain_under_pgd_and_shift(demo):
    report = demo[2]
    assert report.row("both", "clean").accuracy >= 0.95
    assert report.gain("both", "standard", "pgd") >= 40 * OF_THE_GAIN
    assert report.gain("both", "standard", "shift") >= 25 * OF_THE_GAIN


def test_every_model_has_learned_and_attacks_and_shifts_hurt(demo):
    report = demo[2]
    for model in MODELS:
        accuracy = {cell: report.row(model, cell).accuracy for cell in CELLS}
        assert accuracy["clean"] >= 0.95
        assert accuracy["pgd"] <= accuracy["fgsm"] < accuracy["clean"]
        assert accuracy["shift_pgd"] < accuracy["shift"] < accuracy["clean"]


def test_the_report_has_the_promised_form(demo):
    content = json.loads((demo[1] / "report.json").read_text())
    keys = {"model", "cell", "accuracy", "low", "high", "n"}
    assert [set(row) for row in content["rows"]] == [keys] * 20
    assert [(row["model"], row["cell"]) for row in content["rows"]] == list(product(MODELS, CELLS))
    assert {row["n"] for row in content["rows"]} == {TESTED}
    assert content["seed"] == 0
    assert content["eps"] == 0.1
    assert content["pgd_steps"] == 20
    assert (content["device"], content["threads"]) == ("cpu", 1)
    assert content["versions"]["torch"] == torch.__version__
    assert content["seconds"] > 0


def test_the_picture_has_four_lines_of_images(demo):
    pixels = imread(demo[1] / "samples.png")[..., :3]
    assert pixels.shape[0] > 500
    assert pixels.shape[1] > 1000
    dark = (pixels.max(axis=2) < 0.1).mean(axis=1) > 0.1  # rows through the black of clean and adversarial digits
    assert dark.any()
    colourful = (np.ptp(pixels, axis=2) > 0.3).mean(axis=1) > 0.2  # only differences have colour
    assert np.flatnonzero(colourful).min() > np.flatnonzero(dark).max()


def test_the_page_and_the_table_it_is_made_of_are_written(demo):
    _, out, report = demo
    assert {"samples.png", "report.json", "report.html", "report.md", "outcomes.csv", "manifest.json"} <= {
        path.name for path in out.iterdir()
    }
    evaluation = load_evaluation(out)
    assert evaluation.rows() == report.rows
    assert evaluation.manifest["command"] == "art-domainrand demo --seed 0"
    assert set(evaluation.diagnoses) == set(MODELS)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in (*MODELS, *CELLS))


def test_the_table_is_printed_and_progress_is_shown(demo):
    result = demo[0]
    for model in MODELS:
        (line,) = [line for line in result.stdout.splitlines() if line.startswith(model + " ")]
        assert line.count("[") == len(CELLS)
        assert f"training {model}: 100%" in result.stderr
    assert "evaluating: 100%" in result.stderr


def test_the_held_out_domain_is_held_out():
    (choice, *others) = HELD_OUT_DOMAIN.transforms
    assert isinstance(choice, OneOf)
    trained = {type(transform): transform for transform in TRAINING_DOMAIN.transforms}
    assert not {type(transform) for transform in others} & set(trained)
    low, high = trained[Rotation].angle.support
    for rotation in choice.transforms:
        assert rotation.angle.support[0] >= high or rotation.angle.support[1] <= low


def test_shift_pgd_attacks_the_shifted_images():
    _, test = digits()
    block = Block(np.arange(32), test.x[:32], test.y[:32], ("",) * 32, seed=3, batch_size=32)
    shifted = {}
    for seed in (0, 1):
        torch.manual_seed(seed)
        classifier = training.make_classifier(test)
        block = replace(block, y=classifier.predict(block.x).argmax(1))  # all right before, so that what breaks is kept
        kept = {
            name: perform(classifier, [JUDGED_UNDER[name]], block, classes=test.classes, keep=32)
            for name in ("shift", "shift_pgd")
        }
        attacked = kept["shift_pgd"].rows
        assert (attacked["linf"] > 0.9 * EPS).sum() > 10
        assert attacked["linf"].max() <= EPS * (1 + 1e-6)
        for sample in kept["shift_pgd"].samples:
            assert np.abs(sample.changed - sample.clean).max() > 0.5
            before = images_of(kept["shift"]).get(sample.sample)
            if before is not None:
                assert np.abs(sample.changed - before).max() <= EPS * (1 + 1e-6)
        shifted[seed] = images_of(kept["shift"])
    both = set(shifted[0]) & set(shifted[1])
    assert both
    assert all(np.array_equal(shifted[0][k], shifted[1][k]) for k in both)  # the same for every model


def images_of(performed):
    """The images that were kept, by their places."""
    return {sample.sample: sample.changed for sample in performed.samples}


def test_the_condition_is_pgd_of_twenty_steps_judged_by_the_last():
    test = digits()[1][:16]
    classifier = untrained(test, 0)
    pgd = PGD(
        classifier, eps=EPS, eps_step=EPS / 8, max_iter=20, num_random_init=1, batch_size=256, seed=5, verbose=False
    )
    made = make_attack(JUDGED_UNDER["pgd"], classifier, EPS, seed=5, batch_size=16)
    assert np.array_equal(made.generate(test.x, test.y), pgd.generate(test.x, test.y))


def test_an_earlier_demo_is_replaced_and_another_evaluation_is_not_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "digits", lambda seed: digits(test=20, seed=seed))
    monkeypatch.setattr(steps, "train_all", lambda recipes, data, seed, verbose: {"standard": untrained(data, seed)})
    for seed in (0, 1):
        run_demo(tmp_path / "demo", seed)
        assert load_evaluation(tmp_path / "demo").manifest["seed"] == seed
    other = tmp_path / "other"
    test = digits()[1][:8]
    evaluate(untrained(test, 0), JUDGED_UNDER["clean"], test, out=other, diagnosed=False)
    before = sorted((path, path.read_bytes()) for path in other.rglob("*") if path.is_file())
    monkeypatch.setattr(steps, "train_all", None)  # it is refused before any work
    with pytest.raises(ValueError, match="out must not hold another evaluation"):
        run_demo(other)
    assert before == sorted((path, path.read_bytes()) for path in other.rglob("*") if path.is_file())


def untrained(data, seed):
    torch.manual_seed(seed)
    return training.make_classifier(data)


def test_models_do_not_randomize_at_prediction():
    data = digits()[0][:64]
    for recipe in RECIPES.values():
        with private_randomness(0):
            classifier = training.train("", recipe, data, seed=0, epochs=1)
        assert np.array_equal(classifier.predict(data.x), classifier.predict(data.x))


def test_training_depends_on_the_seed_alone():
    data = digits()[0][:256]

    def weights(seed):
        with private_randomness(seed):
            classifier = training.train("", Recipe(adversarial=True, randomized=True), data, seed, epochs=2)
        return torch.cat([p.detach().flatten().cpu() for p in classifier.model.parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_each_epoch_of_a_randomized_model_has_fresh_images(monkeypatch):
    seen = []
    apply = type(TRAINING_DOMAIN).apply
    monkeypatch.setattr(
        type(TRAINING_DOMAIN), "apply", lambda self, x, draw: (seen.append(draw.u), apply(self, x, draw))[1]
    )
    data = digits()[0][:64]
    for recipe in (Recipe(randomized=True), Recipe(adversarial=True, randomized=True)):
        seen.clear()
        with private_randomness(0):
            training.train("", recipe, data, seed=0, epochs=3)
        assert len(seen) == 3
        assert not torch.equal(seen[0], seen[1])
