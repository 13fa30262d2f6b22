"""What goes wrong in a run is said in one line, and loses nothing that was finished."""

import errno
import json
import tempfile

import numpy as np
import pytest
import torch
from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier
from PIL import Image
from torch import nn

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted
from art_domainrand.evaluation.folder import load_evaluation
from art_domainrand.evaluation.running import plan
from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.evaluation.running.evaluate import evaluate
from art_domainrand.evaluation.storage import blocks

from support.evaluation_run import QUICK, contents, data, models, quick_evaluation
from support.evaluation_run import small_evaluation as small


class Failing:
    """A condition that works so many times, and then does what it is told."""

    def __init__(self, times, then):
        self.left, self.then = times, then
        self.__name__ = "dark"

    def __call__(self, estimator, x, y):
        self.left -= 1
        return x / 2 if self.left >= 0 else self.then(x)


def raising(error):
    def throw(x):
        raise error

    return throw


TROUBLE = {
    "raises": (raising(RuntimeError("cuda is on fire\nand more")), "RuntimeError: cuda is on fire"),
    "wrong number": (lambda x: x[1:], "images"),
    "NaN": (lambda x: x * np.nan, "finite|NaN"),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_failure_is_one_line_that_says_where_and_the_run_goes_on_later(kind, tmp_path):
    then, words = TROUBLE[kind]
    expected = small(None, QUICK, diagnosed=False).outcomes.rows
    with pytest.raises(EvaluationError, match=words) as caught:
        small(tmp_path, QUICK | {"dark": Failing(3, then)}, diagnosed=False)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith("model 'two', dark, samples 8 to 15: ")
    before = contents(tmp_path)
    assert len([name for name in before if name.startswith("blocks")]) == 7
    with pytest.raises(EvaluationError, match=r"not finished: 9 of 16 parts are missing, such as 000007.npz"):
        load_evaluation(tmp_path)
    assert quick_evaluation(tmp_path).outcomes.rows.tobytes() == expected.tobytes()
    assert contents(tmp_path).items() >= before.items()


def answering(answer):
    """An estimator that answers as it is told."""
    return BlackBoxClassifier(answer, (1, 4, 4), 3, clip_values=(0, 1))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: np.full((len(x), 3), np.nan), "NaN"),
        (lambda x: np.zeros((len(x) - 1, 3)), "row for each image|could not broadcast"),
        (raising(MemoryError("no more")), "MemoryError"),
        (raising(KeyError("layer")), "KeyError: 'layer'"),
    ],
)
def test_a_broken_model_is_named(answer, words):
    with pytest.raises(EvaluationError, match=words) as caught:
        evaluate({"odd": answering(answer)}, Clean(), data(), diagnosed=False)
    assert "model 'odd'" in str(caught.value)


def test_a_model_that_says_nan_of_one_image_only_is_told_with_it():
    def answer(x):
        scores = np.tile(np.float32([1, 2, 3]), (len(x), 1))
        scores[x[:, 0, 0, 0] == data()[0][21, 0, 0, 0]] = np.nan
        return scores

    with pytest.raises(EvaluationError, match=r"NaN.*21"):
        evaluate({"odd": answering(answer)}, Clean(), data(), diagnosed=False)


def test_ctrl_c_ends_the_run_and_what_is_finished_stays(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path, QUICK | {"dark": Failing(2, raising(KeyboardInterrupt()))}, diagnosed=False)
    assert len(list((tmp_path / "blocks").glob("*.npz"))) == 5
    assert quick_evaluation(tmp_path).outcomes.rows.tobytes() == quick_evaluation(None).outcomes.rows.tobytes()


def test_a_full_disk_is_said_and_leaves_no_partial_file(tmp_path, monkeypatch):
    whole_file, written = blocks.whole_file, []

    def full_after_five(path):
        written.append(path)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return whole_file(path)

    monkeypatch.setattr(blocks, "whole_file", full_after_five)
    with pytest.raises(EvaluationError, match=r"the results cannot be written.*No space left on device"):
        quick_evaluation(tmp_path)
    monkeypatch.undo()
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []
    assert quick_evaluation(tmp_path).outcomes.rows.tobytes() == quick_evaluation(None).outcomes.rows.tobytes()


def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(ValueError, match=r"out must be a folder that can be written to.*Read-only"):
        quick_evaluation(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_unreadable_image_is_named_and_the_blocks_before_it_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "BLOCK_SIZE", 8)
    for k in range(20):
        path = tmp_path / "images" / f"class {k // 10}" / f"{k:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), 12 * k, np.uint8)).save(path)
    path.write_bytes(b"no image")
    with pytest.raises(EvaluationError, match=r"data, samples 16 to 19: data must hold images .*class 1/19.png"):
        evaluate(models()["one"], Clean(), f"imagefolder:{tmp_path / 'images'}", out=tmp_path / "out", diagnosed=False)
    assert len(list((tmp_path / "out" / "blocks").glob("*"))) == 2


def test_memory_that_runs_out_halves_the_batch_and_is_said_once():
    seen = []

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))

        def forward(self, x):
            seen.append(len(x))
            if len(x) > 10:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return self.inner(x)

    model = PyTorchClassifier(Small(), nn.CrossEntropyLoss(), (1, 4, 4), 3, clip_values=(0, 1), device_type="cpu")
    with pytest.warns(RuntimeWarning, match="batches of 16 images: going on with 8") as caught:
        found = evaluate(model, Clean(), data(), diagnosed=False, batch_size=16)
    assert len([one for one in caught if "memory ran out" in str(one.message)]) == 1
    assert len(found.outcomes) == 30
    with pytest.raises(EvaluationError, match="out of memory"):
        evaluate(answering(raising(torch.OutOfMemoryError("CUDA out of memory"))), Clean(), data(), diagnosed=False)


@pytest.mark.parametrize("damage", [b"", b"PK nonsense", None])
def test_a_broken_block_is_done_again(damage, tmp_path):
    quick_evaluation(tmp_path)
    expected = contents(tmp_path)
    path = tmp_path / "blocks" / "000003.npz"
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    (tmp_path / "blocks" / ".000004-abcd1234.npz").write_bytes(b"half")  # a process was killed over it
    (tmp_path / "blocks" / "000005.npz").write_bytes((tmp_path / "blocks" / "000006.npz").read_bytes())
    quick_evaluation(tmp_path)
    assert contents(tmp_path) == expected


def test_a_second_run_that_starts_over_the_folder_stops_none(tmp_path, monkeypatch):
    """It takes what the first is writing for what a killed process has left."""
    expected = contents_of(quick_evaluation, tmp_path / "alone")
    written = blocks.np.savez

    def meanwhile(file, **options):
        written(file, **options)
        if file.name.rpartition(".")[0].rpartition("/")[2].startswith(".000003"):
            monkeypatch.setattr(blocks.np, "savez", written)
            blocks.remove_leftovers(tmp_path / "both")

    monkeypatch.setattr(blocks.np, "savez", meanwhile)
    assert contents_of(quick_evaluation, tmp_path / "both") == expected
    assert blocks.np.savez is written


def contents_of(run, folder):
    run(folder)
    return contents(folder)


@pytest.mark.parametrize("numbers", [{"of": -5}, {"n": 0}, {"n": 31}])
def test_a_manifest_of_impossible_numbers_holds_no_evaluation(numbers, tmp_path):
    quick_evaluation(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["data"] |= numbers
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(EvaluationError, match=r"data\.n must be from 1 to data\.of"):
        load_evaluation(tmp_path)


def test_what_differs_from_the_evaluation_in_the_folder_is_named(tmp_path):
    estimators, (x, y) = models(), data()
    options = {"out": tmp_path, "diagnosed": False}
    evaluate(estimators, [Clean(), Corrupted("fog", 3)], (x, y), **options)
    with torch.no_grad():
        estimators["two"].model[1].bias += 1
    cases = {
        r"models.two.fingerprint was \"": (estimators, [Clean(), Corrupted("fog", 3)], (x, y)),
        r"conditions.fog 3 was .* and is absent": (models(), [Clean(), Corrupted("fog", 4)], (x, y)),
        "data.digest was": (models(), [Clean(), Corrupted("fog", 3)], (x, 2 - y)),
        "models.two was .* and is absent": (models()["one"], [Clean(), Corrupted("fog", 3)], (x, y)),
    }
    for words, case in cases.items():
        with pytest.raises(EvaluationError, match=words):
            evaluate(*case, **options)
    with pytest.raises(EvaluationError, match=r"data.n was 30 and is 5"):
        evaluate(models(), [Clean(), Corrupted("fog", 3)], (x, y), limit=5, **options)
    (tmp_path / "manifest.json").write_text('{"schema": 99}')
    with pytest.raises(EvaluationError, match="be a manifest of schema 1 or 2, got schema 99"):
        load_evaluation(tmp_path)
    with pytest.raises(EvaluationError, match="holds no evaluation"):
        load_evaluation(tmp_path / "blocks")


@pytest.mark.parametrize(
    "change",
    [
        {"models": 3},
        {"conditions": {"clean": {"type": "cleam"}}},
        {"families": [[0], [7]]},
        {"block_size": 0},
        {"data": {}},
        {"seed": "x", "data": {"of": 30, "n": 3}},
    ],
)
def test_a_manifest_that_was_tampered_with_is_one_line(change, tmp_path):
    quick_evaluation(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EvaluationError) as caught:
        load_evaluation(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_diagnosis_that_cannot_be_made_is_a_finding():
    class Other:
        """No estimator of ART's, but it predicts."""

        def predict(self, x, batch_size=128):
            return np.tile(np.float32([1, 2, 3]), (len(x), 1))

    found = evaluate(Other(), Clean(), data())
    (finding,) = found.diagnoses["model"].findings
    assert finding.name == "diagnosis"
    assert "estimator must" in finding.message
    assert np.array_equal(found.outcomes.right("model", "clean")[0], data()[1] == 2)


def test_labels_that_a_model_has_no_class_for_are_named():
    x, y = data()
    y[17] = 7
    with pytest.raises(EvaluationError, match=r"labels below 3, the classes of model 'model', got \[7\] at sample 17"):
        evaluate(models()["one"], Attacked("pgd", 0.1), (x, y), diagnosed=False)


def test_a_finished_part_that_is_late_is_waited_for_and_one_that_never_comes_is_an_error(tmp_path, monkeypatch):
    quick_evaluation(tmp_path)
    late = tmp_path / "blocks" / "000003.npz"
    content = late.read_bytes()
    late.unlink()
    looks = []

    def look_again(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            late.write_bytes(content)

    monkeypatch.setattr(blocks.time, "sleep", look_again)
    whole = plan.Plan(np.arange(30), 8, 2, ((0,), (1,)))
    rows = blocks.OnDisk(tmp_path, whole, patience=60).rows(whole.units)
    assert np.concatenate(rows).tobytes() != b""
    assert len(looks) == 3
    late.unlink()
    with pytest.raises(EvaluationError, match=r"be there to be read, got '.*000003.npz'"):
        blocks.OnDisk(tmp_path, whole).rows(whole.units)
