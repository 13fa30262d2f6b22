"""Whatever a file says, a command ends with one line and leaves nothing half done."""

import json
from itertools import count
from shutil import rmtree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from art_domainrand.cli.asked_conditions import asked_conditions
from art_domainrand.cli.prepared import named_data
from art_domainrand.cli.run_config import RunConfig, load_config
from art_domainrand.evaluation import EvaluationError

from support.commands import NET, call, last_error
from support.malformed import archives, broken_images, texts

QUICKLY = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
OPTIONS = ["--model", "net.py:make", "--device", "cpu"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


@pytest.fixture
def no_run(monkeypatch):
    """An evaluation that fails as soon as it would start."""

    def reached(*args, **options):
        raise EvaluationError("the run would start")

    monkeypatch.setattr("art_domainrand.evaluation.running.evaluate.evaluate", reached)


@pytest.fixture
def bare_run(monkeypatch):
    """An evaluation without diagnosis and page, which take most of the time of so small ones."""

    def refuse(*args, **options):
        raise ValueError("left out")

    monkeypatch.setattr("art_domainrand.evaluation.running.evaluate.diagnose", refuse)
    monkeypatch.setattr("art_domainrand.evaluation.report.page.write_report", lambda evaluation, out: (out / "page",))


def check_end(result, folder, allowed=(1, 2)):
    """One line on stderr, and no file but the inputs, unless the run went well."""
    assert result.exit_code in allowed
    assert "Traceback" not in result.output
    if result.exit_code:
        assert last_error(result).isprintable()
    out = folder / "evaluation"
    for path in out.rglob("*.npz"):
        with np.load(path, allow_pickle=False) as archive:
            assert all(archive[name] is not None for name in archive.files)
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    assert not [path for path in folder.rglob(".*") if path.is_file()], "a part of a file is left"
    return result.exit_code


class Ended:
    """Counts how commands and reads ended; one in five is a whole command, the others only read all that there is."""

    def __init__(self, folder, data, size=None):
        self.folder, self.data, self.size, self.places, self.codes = folder, data, size, count(), []

    def check(self, whole, name):
        """What is in the folder now is read, or refused in one line, in which ``name`` stands."""
        if whole:
            size = [] if self.size is None else ["--size", self.size]
            out = f"evaluation/{next(self.places)}"
            result = call("evaluate", "--data", self.data, *size, *OPTIONS, "--attack", "fgsm", "--out", out)
            self.codes.append(check_end(result, self.folder, (0, 1, 2)))
            rmtree(self.folder / "evaluation", ignore_errors=True)  # or all earlier ones would be checked again
            assert not result.exit_code or name in result.stderr
            return
        try:
            source = named_data(RunConfig(data=self.data, size=self.size))
            read = source.read(np.arange(len(source)))
        except (ValueError, TypeError) as error:
            assert name in str(error)  # noqa: PT017 it need not be raised
        else:
            assert read.x.shape == (len(source), *source.shape)
            assert np.isfinite(read.x).all()
            assert read.y.dtype == np.int64


WHOLE_OR_READ = st.integers(0, 4).map(lambda number: number == 0)


@pytest.mark.usefixtures("no_run")
def test_configs(folder):
    codes, understood = [], []

    @settings(QUICKLY, max_examples=400)
    @given(texts(), WHOLE_OR_READ)
    def check(content, whole):
        (folder / "run.yaml").write_bytes(content)
        if whole:
            result = call("evaluate", "--config", "run.yaml", "--size", 8, "--data", "digits", *OPTIONS)
            codes.append(check_end(result, folder))
            assert {path.name for path in folder.iterdir()} <= {"net.py", "run.yaml", "__pycache__"}
            return
        try:
            understood.append(asked_conditions(load_config(folder / "run.yaml").effective(), 1))
        except (ValueError, TypeError) as error:
            assert str(error)  # noqa: PT017 it need not be raised

    check()
    assert codes.count(2) > 20
    assert understood


@pytest.mark.usefixtures("bare_run")
def test_archives_of_images_and_labels(folder):
    ended = Ended(folder, "npz:data.npz")

    @settings(QUICKLY, max_examples=350)
    @given(archives(), WHOLE_OR_READ)
    def check(content, whole):
        (folder / "data.npz").write_bytes(content)
        ended.check(whole, "")

    check()
    assert {0, 2} <= set(ended.codes)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.usefixtures("bare_run")
def test_broken_images(folder):
    ended = Ended(folder, "imagefolder:in", 8)
    (folder / "in/a").mkdir(parents=True)
    (folder / "in/b").mkdir()
    Image.new("L", (8, 8), 100).save(folder / "in/a/whole.png")
    (folder / "net.py").write_text(NET.replace("nn.Linear(64, 10)", "nn.Linear(192, 2)"))

    @settings(QUICKLY, max_examples=250)
    @given(broken_images(), st.sampled_from(["png", "jpg", "tif"]), WHOLE_OR_READ)
    def check(content, suffix, whole):
        for old in (folder / "in/b").iterdir():
            old.unlink()
        (folder / f"in/b/broken.{suffix}").write_bytes(content)
        ended.check(whole, "broken")

    check()
    assert {0, 1} <= set(ended.codes)
