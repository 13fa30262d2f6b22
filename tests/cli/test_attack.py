"""``attack`` and ``benchmark``: what is written is what the model is fooled by."""

import json

import numpy as np
import pytest
from PIL import Image

from art_domainrand.data import digits
from art_domainrand.loading import ModelRequest, load_estimator

from support.commands import NET, call, last_error

SMALL = ["--size", 8, "--limit", 12, "--model", "net.py:make", "--device", "cpu"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def estimator():
    return load_estimator(ModelRequest("net.py:make"), (1, 8, 8), 10)


@pytest.mark.parametrize("form", ["png", "npz"])
def test_what_is_written_is_what_the_record_says(folder, form):
    result = call("attack", *SMALL, "--attack", "pgd", "--eps", "16/255", "--format", form, "--batch-size", 5)
    assert result.exit_code == 0
    record = json.loads((folder / "adversarial/adversarial.json").read_text())
    listed, clean = record["images"], digits(8)[1]
    if form == "png":
        images = np.stack([np.asarray(Image.open(folder / "adversarial" / one["file"])) for one in listed])[:, None]
        images = images.astype(np.float32) / np.float32(255)
        assert "nearest of 256 levels" in record["rounding"]
    else:
        with np.load(folder / "adversarial/adversarial.npz") as archive:
            images, samples = archive["x"], archive["sample"]
            np.testing.assert_array_equal(archive["y"], [one["label"] for one in listed])
        np.testing.assert_array_equal(samples, [one["sample"] for one in listed])
        assert "not rounded" in record["rounding"]
    places = [one["sample"] for one in listed]
    assert len(set(places)) == record["n"] == 12
    np.testing.assert_array_equal(clean.y[places], [one["label"] for one in listed])
    np.testing.assert_array_equal(estimator().predict(images).argmax(1), [one["after"] for one in listed])
    sizes = np.abs(images - clean.x[places]).reshape(12, -1).max(1)
    np.testing.assert_allclose(sizes, [one["linf"] for one in listed], atol=1e-7)
    assert sizes.max() <= 16 / 255 + (0.5 / 255 if form == "png" else 1e-6)
    assert record["accuracy_after"] == np.mean([one["after"] == one["label"] for one in listed])
    assert f"{round(12 * record['accuracy_after'])} after" in result.stdout


def test_an_estimator_of_another_range_gives_the_same_files(folder):
    for name, eps, out in (("make", "0.1", "a"), ("wide", "25.5", "b")):
        options = ["--size", 8, "--limit", 3, "--attack", "fgsm", "--eps", eps, "--format", "npz", "--out", out]
        assert call("attack", "--model", f"net.py:{name}", *options).exit_code == 0
    a, b = (np.load(folder / out / "adversarial.npz")["x"] for out in "ab")
    assert 0 <= b.min() <= b.max() <= 1
    assert np.abs(a - b).max() <= 0.2 + 1e-5  # both within 0.1 of the same image, whatever the model makes of its range


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--format", "jpg"], 2, "--format must be one of ['png', 'npz'], got 'jpg'"),
        (["--attack", "pgd,fgsm"], 2, "must name one attack"),
        (["--attack", "pdg"], 2, "did you mean 'pgd'?"),
        (["--out", "."], 2, "out must be new or empty, got '.'"),
        (["--out", "net.py"], 2, "out must be a folder"),
        (["--model", "net.py:other"], 2, "--model must be one"),
    ],
)
def test_bad_arguments_are_one_line_and_leave_nothing(folder, arguments, code, message):
    before = set(folder.iterdir())
    result = call("attack", *SMALL, *arguments)
    assert result.exit_code == code
    assert message in last_error(result)
    assert set(folder.iterdir()) - before <= {folder / "__pycache__"}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_half_way_leaves_no_part(folder, monkeypatch, error):
    from art_domainrand.cli import adversarial_images

    written = []

    def fail(path, image):
        written.append(path)
        if len(written) == 4:
            raise error
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    monkeypatch.setattr(adversarial_images, "save_png", fail)
    result = call("attack", *SMALL, "--attack", "pgd", "--out", "new/deep")
    assert result.exit_code == 1
    last_error(result)
    assert len(written) == 4
    assert not (folder / "new").exists()


def test_ours_beside_arts(folder):
    result = call("benchmark", *SMALL, "--eps", "0.05", "--repeats", 1, "--out", "figures.json")
    assert result.exit_code == 0
    rows = {row["attack"]: row for row in json.loads((folder / "figures.json").read_text())["rows"]}
    assert rows["pgd"]["robust"] == rows["art:ProjectedGradientDescent"]["robust"]
    assert rows["pgd"]["backwards"] <= rows["art:ProjectedGradientDescent"]["backwards"]
    assert all(any(line.startswith(name) for line in result.stdout.splitlines()) for name in rows)
    assert call("benchmark", *SMALL, "--repeats", 0).exit_code == 2
    assert call("benchmark", *SMALL, "--out", folder).exit_code == 2
