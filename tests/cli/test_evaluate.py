"""``evaluate``, ``report`` and ``compare``: what they write, how they end, and what they refuse."""

import json
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from art_domainrand.cli import app
from art_domainrand.cli.run_config import RunConfig, read_config
from art_domainrand.data import digits
from art_domainrand.evaluation import load_evaluation

from support.commands import NET, call, last_error

PRESET_WORDS = "art-domainrand evaluate --preset st"
SMALL = ["--size", 8, "--limit", 12, "--model", "net.py:make", "--device", "cpu"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def test_a_run_says_its_verdict_its_table_and_its_page(folder):
    result = call("evaluate", *SMALL, "--attack", "pgd", "--eps", "0.01,4/255", "--corruptions", "fog:5")
    assert result.exit_code == 0
    assert "Note: --model runs what is in net.py" in result.stderr
    assert {path.name for path in (folder / "evaluation").iterdir()} >= {"report.html", "report.md", "outcomes.csv"}
    lines = result.stdout.splitlines()
    assert lines[-1] == "Page: evaluation/report.html"
    found = load_evaluation("evaluation")
    assert list(found.conditions) == ["clean", "pgd linf 0.01", "pgd linf 4/255", "fog 5"]
    for name in found.conditions:
        (line,) = [line for line in lines if line.startswith(name)]
        assert f"{100 * found.accuracy('net:make', name).accuracy:5.1f} [" in line


def test_the_figures_are_those_of_the_model(folder):
    call("evaluate", "--size", 8, "--model", "net.py:make", "--attack", "fgsm", "--eps", "0.05", "--seed", 3)
    found = load_evaluation("evaluation")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    test = digits(8)[1]
    with torch.no_grad():
        right = model(torch.from_numpy(test.x)).argmax(1).numpy() == test.y
    np.testing.assert_array_equal(found.outcomes.right("net:make", "clean")[0], right)


def test_a_second_run_goes_on_and_another_is_refused(folder):
    assert call("evaluate", *SMALL, "--attack", "pgd").exit_code == 0
    before = {path: path.read_bytes() for path in (folder / "evaluation/blocks").iterdir()}
    assert call("evaluate", *SMALL, "--attack", "pgd").exit_code == 0
    assert {path: path.read_bytes() for path in (folder / "evaluation/blocks").iterdir()} == before
    result = call("evaluate", *SMALL, "--attack", "fgsm")
    assert result.exit_code == 1
    assert "evaluation holds another evaluation" in last_error(result)


@pytest.mark.parametrize(("bound", "code"), [("clean>=0", 0), ("clean>1; robust(linf,0.1)>=0", 3)])
def test_a_bound_decides_how_it_ends(bound, code):
    result = call("evaluate", *SMALL, "--attack", "pgd", "--eps", "0.1", "--fail-under", bound)
    assert result.exit_code == code
    assert result.stderr.count("Required: ") == bound.count(";") + 1
    assert ("NOT MET" in result.stderr) == (code == 3)


def test_a_bound_on_what_is_not_run_is_told_before_anything_runs(folder):
    result = call("evaluate", *SMALL, "--attack", "pgd", "--eps", "0.1", "--fail-under", "robust(l2,1)>=0")
    assert result.exit_code == 2
    assert "must be those of an attack that was run (linf 0.1), got l2 1" in last_error(result)
    assert not (folder / "evaluation").exists()


def test_a_dumped_config_gives_the_same_run(folder):
    dumped = call("evaluate", *SMALL, "--attack", "pgd,fgsm", "--eps", "8/255", "--out", "b", "--dump-config")
    assert dumped.exit_code == 0
    assert not (folder / "b").exists()
    (folder / "run.yaml").write_text(dumped.stdout)
    assert read_config(dumped.stdout).attack == ("pgd", "fgsm")
    again = call("evaluate", "--config", "run.yaml", "--dump-config")
    assert again.stdout == dumped.stdout
    assert call("evaluate", *SMALL, "--attack", "pgd,fgsm", "--eps", "8/255", "--out", "a").exit_code == 0
    assert call("evaluate", "--config", "run.yaml").exit_code == 0
    assert (folder / "a/outcomes.csv").read_bytes() == (folder / "b/outcomes.csv").read_bytes()


def test_the_preset_stands_in_where_nothing_is_named():
    assert read_config(call("evaluate", "--dump-config").stdout) == RunConfig(preset="quick")
    assert read_config(call("evaluate", "--eps", "0.1", "--dump-config").stdout).preset is None


def test_conditions_of_a_file_one_inside_another(folder):
    (folder / "run.yaml").write_text(
        "conditions:\n- {type: then, first: {type: corrupted, corruption: fog}, second: {type: attacked, attack: pgd, "
        "eps: 2/255}}\n- {type: randomized, pipeline: mild, draws: 2}\n"
    )
    assert call("evaluate", *SMALL, "--config", "run.yaml").exit_code == 0
    assert list(load_evaluation("evaluation").conditions) == ["clean", "fog 3 > pgd linf 2/255", "randomized mild x2"]


def test_radii_are_in_the_units_of_the_model(folder):
    result = call("evaluate", "--size", 8, "--limit", 6, "--model", "net.py:wide", "--attack", "fgsm")
    assert result.exit_code == 0
    assert list(load_evaluation("evaluation").conditions) == ["clean", "fgsm linf 25.5"]


def test_models_with_names_of_their_own_are_compared(folder):
    several = ["--model", "one=net.py:make", "--model", "net.py:other", "--size", 8, "--limit", 40, "--attack", "pgd"]
    assert call("evaluate", *several).exit_code == 0
    found = load_evaluation("evaluation")
    assert found.models == ("one", "net:other")
    result = call("compare", "evaluation")
    assert result.exit_code == 0
    one, other = (found.outcomes.right(name, "clean")[0] for name in found.models)
    (line,) = [line for line in result.output.splitlines() if line.startswith("clean")]
    assert f"{(one & ~other).sum()} / {(other & ~one).sum()}" in line
    assert call("compare", "evaluation", "evaluation", "--models", "one,net:other").output == result.output
    assert call("compare", "evaluation", "nowhere").exit_code != 0
    assert call("compare", "evaluation", "--models", "one").exit_code == 2


def test_the_page_is_written_again_from_the_table(folder):
    call("evaluate", *SMALL, "--attack", "pgd")
    before = (folder / "evaluation/report.html").read_bytes()
    (folder / "evaluation/report.html").unlink()
    result = call("report", "evaluation")
    assert result.exit_code == 0
    assert (folder / "evaluation/report.html").read_bytes() == before
    nowhere = call("report", "nowhere")
    assert nowhere.exit_code == 2
    assert nowhere.stderr.splitlines() == ["Error: nowhere holds no evaluation: there is no manifest.json"]


BAD = [
    (["--sede", "1"], "No such option"),
    (["--eps", "8/0"], "eps must"),
    (["--eps", "nan"], "eps must"),
    (["--norm", "l3"], "norm must"),
    (["--attack", "pdg"], "did you mean 'pgd'?"),
    (["--corruptions", "fgo"], "did you mean 'fog'?"),
    (["--corruptions", "fog:6"], "fog must have a severity from 1 to 5 after its colon, got 'fog:6'"),
    (["--domain", "nihgt"], "did you mean 'night'?"),
    (["--preset", "quik"], "did you mean 'quick'?"),
    (["--data", "digit"], "did you mean 'digits'?"),
    (["--device", "tpu"], "device must be auto, cpu, cuda, cuda:N or mps, got 'tpu'"),
    (["--batch-size", "0"], "batch_size must be >= 1, got 0"),
    (["--batch-size", "some"], "--batch-size must be"),
    (["--limit", "0"], "limit must be >= 1, got 0"),
    (["--seed", "-1"], "seed must be"),
    (["--mean", "0.5"], "mean and std must be given for the same channels"),
    (["--mean", "a,b"], "--mean must be numbers between commas, got 'a,b'"),
    (["--weights", "none.pt"], "weights must be a file that is there"),
    (["--config", "none.yaml"], "config must be a file that is there, got 'none.yaml'"),
    (["--fail-under", "robst(linf,0.1)>=0.4"], "did you mean 'robust'?"),
    (["--model", "net.py:make"], "--model must have names of their own"),
    (["--out", "net.py"], "out must be a folder"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(case[0]) for case in BAD])
def test_bad_arguments_are_one_line_and_leave_nothing(folder, arguments, message):
    before = set(folder.iterdir())
    result = call("evaluate", *SMALL, *arguments)
    assert result.exit_code == (1 if "--out" in arguments else 2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert set(folder.iterdir()) - before <= {folder / "__pycache__"}


def test_a_config_names_no_code_but_the_model(folder):
    (folder / "run.yaml").write_text("conditions: [{type: custom, name: os.system}]")
    result = call("evaluate", *SMALL, "--config", "run.yaml")
    assert result.exit_code == 2
    assert "no document can name code" in last_error(result)


@pytest.mark.parametrize(("name", "message"), [("Nan", "NaN"), ("Raises", "out of")])
def test_a_model_that_fails_half_way_is_one_line_and_1(folder, name, message):
    result = call("evaluate", "--size", 8, "--limit", 6, "--model", f"net.py:{name}", "--attack", "pgd")
    assert result.exit_code == 1
    assert message in last_error(result)
    assert not (folder / "evaluation/report.html").exists()


def test_stopping_is_one_line_and_1(monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("art_domainrand.evaluation.running.work.perform", interrupt, raising=False)
    monkeypatch.setattr("art_domainrand.evaluation.running.evaluate.perform", interrupt, raising=False)
    result = call("evaluate", *SMALL, "--attack", "pgd")
    assert result.exit_code == 1
    assert last_error(result).startswith("Stopped: what is finished is in evaluation")


def test_the_traceback_is_shown_when_asked_for():
    assert "Traceback" in call("--traceback", "evaluate", *SMALL, "--eps", "x").stderr


def test_other_processes_are_silent(monkeypatch):
    monkeypatch.setattr("art_domainrand.cli.evaluate.evaluated", lambda run: False)
    assert call("evaluate", "--dump-config", RANK="1").output == ""


def test_hostile_text_stays_on_one_line():
    result = call("evaluate", *SMALL, "--data", "a\x1b[31m\nb\u202ec\udcff")
    assert result.exit_code == 2
    assert last_error(result).isprintable()


@pytest.mark.parametrize(
    "command", ["evaluate", "report", "compare", "attack", "benchmark", "augment", "demo", "gallery", "list"]
)
def test_help_shows_an_example(command):
    assert f"art-domainrand {command}" in call(command, "--help").output.split("Example")[1]


def test_the_version_is_told():
    assert call("--version").output.startswith("art-domainrand ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(("words", "wanted"), [("art-domainrand eval", "evaluate"), (PRESET_WORDS, "standard")])
def test_the_shell_completes(shell, words, wanted):
    asked = {"_TYPER_COMPLETE_ARGS": words, "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    environment = {**asked, "_ART_DOMAINRAND_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    result = CliRunner().invoke(app, [], env=environment, prog_name="art-domainrand")
    assert wanted in result.output


def test_the_record_of_a_run_names_its_command(folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["anywhere/art-domainrand", "evaluate", "--seed", "a b"])
    call("evaluate", *SMALL, "--attack", "pgd")
    command = json.loads((folder / "evaluation/manifest.json").read_text())["command"]
    assert command == "art-domainrand evaluate --seed 'a b'"
