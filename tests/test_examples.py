"""Every example runs, from another directory, and prints what it promises."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from art_domainrand.data import digits

EXAMPLES = Path(__file__).parents[1] / "examples"
TEST = 80


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run an example as a script in a fresh directory and return what it printed; on the first digits held out."""
    monkeypatch.chdir(tmp_path)

    def few(**options):
        train, test = digits(**options)
        return train, test[:TEST]

    monkeypatch.setattr("art_domainrand.data.digits", few)

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def numbers(text, line):
    """The numbers of the line that starts with ``line``, without intervals."""
    (found,) = [entry for entry in text.splitlines() if entry.startswith(line)]
    return [float(number) for number in re.findall(r"\d+\.\d+", re.sub(r"\[.*?\]", "", found[len(line) :]))]


def test_examples_are_short_and_all_tested():
    tested = set(re.findall(r'"(\w+\.py)"', Path(__file__).read_text()))
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 60, path.name


def test_attack_classifier(run):
    printed = run("attack_classifier.py")
    (clean,), (fgsm,), (pgd,) = (numbers(printed, line) for line in ("clean", "FGSM", "PGD"))
    assert clean > 0.9
    assert pgd <= fgsm < clean - 0.1


def test_robustness_curve(run, tmp_path):
    printed = run("robustness_curve.py", "--out", "curve.png")
    for name in ("FGSM, clean", "FGSM, randomized", "PGD, clean", "PGD, randomized"):
        accuracy = numbers(printed, name)
        assert len(accuracy) == 6
        assert accuracy == sorted(accuracy, reverse=True)
        assert accuracy[-1] < accuracy[0] - 40
    with Image.open(tmp_path / "curve.png") as image:
        assert min(image.size) > 400


def test_randomize_training(run):
    printed = run("randomize_training.py")
    assert numbers(printed, "randomized")[1] > numbers(printed, "plain")[1] + 10


def test_adversarial_training(run):
    printed = run("adversarial_training.py", "--epochs", 4)
    assert numbers(printed, "adversarial")[1] > numbers(printed, "standard")[1] + 15


def test_chain_defences(run):
    clean, past, through = numbers(run("chain_defences.py"), "defended")
    assert clean > 85
    assert through < clean - 30
    assert through <= past + 3  # the defence hides nothing from an attack that goes through it


def test_eot_by_hand(run):
    printed = run("eot_by_hand.py")
    (clean,), (one,), (many,) = (numbers(printed, f"draws of the attack: {draws:2}") for draws in (0, 1, 16))
    assert many < one < clean - 0.3


def test_multimodal(run, tmp_path):
    printed = run("multimodal.py")
    (plain, randomized) = (numbers(printed, name) for name in ("plain", "randomized"))
    for clean, moved, rgb, depth, both in (plain, randomized):
        assert clean > 0.9  # a half is what RGB alone could tell, a quarter what depth could
        assert both < min(rgb, depth) - 0.1
        assert max(rgb, depth) < clean - 0.05
        assert moved > 0.6
    assert randomized[1] > plain[1] + 0.05
    with Image.open(tmp_path / "scenes.png") as image:
        assert min(image.size) > 400


def test_cifar10_reads_image_folders(run, tmp_path):
    rng = np.random.default_rng(0)
    for half, name in ((half, name) for half in ("train", "test") for name in ("cat", "dog")):
        (tmp_path / half / name).mkdir(parents=True)
        for number in range(10):
            noise = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / half / name / f"{number}.png")
    printed = run("cifar10.py", "--folder", tmp_path, "--images", 50, "--epochs", 1)
    assert len(numbers(printed, "plain")) == len(numbers(printed, "randomized")) == 2


def test_cifar10_offline_says_so_and_exits_with_3(run, tmp_path, monkeypatch, capsys):
    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(SystemExit) as stopped:
        run("cifar10.py", "--root", tmp_path)
    assert stopped.value.code == 3
    assert "CIFAR-10 could not be downloaded" in capsys.readouterr().err
