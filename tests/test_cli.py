"""The command line: help, and bad input as one line."""

import pytest
from typer.testing import CliRunner

from art_domainrand.cli import app
from art_domainrand.demo import run_demo


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def no_training(monkeypatch):
    """Fail the test if it gets as far as training."""

    def train(*args, **kwargs):
        raise AssertionError("bad input must be refused before training")

    monkeypatch.setattr("art_domainrand.demo.run.train", train)


def test_help_names_the_commands():
    result = call("--help")
    assert result.exit_code == 0
    assert "demo" in result.output
    assert "--seed" in call("demo", "--help").output


def test_without_a_command_there_is_help():
    assert "demo" in call().output


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_bad_seed_is_one_line(tmp_path, seed):
    result = call("demo", "--out", tmp_path / "out", "--seed", seed)
    assert result.exit_code == 2
    assert result.stderr == f"Error: seed must be an int from 0 to 4294967295, got {seed}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_training")
def test_an_out_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    result = call("demo", "--out", tmp_path / "file")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: out must be a folder, got ")
    assert result.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("arguments", [["--seed", "one"], ["--sede", "1"], ["surplus"]])
def test_unknown_and_malformed_options_are_refused(arguments):
    result = call("demo", *arguments)
    assert result.exit_code == 2
    assert arguments[-1] in result.stderr or arguments[0] in result.stderr


def test_an_interrupted_demo_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("art_domainrand.demo.run.train", interrupt)
    assert call("demo", "--out", tmp_path / "out").exit_code != 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", [True, 1.0, "1"])
def test_the_demo_as_a_function_takes_whole_seeds_only(tmp_path, seed):
    with pytest.raises(ValueError, match="seed must be an int"):
        run_demo(tmp_path, seed)
