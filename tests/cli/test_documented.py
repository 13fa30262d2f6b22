"""Commands that are shown to users are commands that there are."""

import re
import shlex
from pathlib import Path

import pytest

from art_domainrand.cli import app

from support.commands import call

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "examples/guides").glob("*.md"))]


def shown_in_pages():
    """Lines of code in our pages that call a command, with those that go on put together."""
    for page in PAGES:
        for block in re.findall(r"^```(?:bash|console|sh|)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                yield page.name, line


def shown_in_help():
    """The examples at the end of each command's help."""
    for command in app.registered_commands:
        for part in (command.epilog or "").split("\n\n"):
            yield command.name, " ".join(part.split())


def commands():
    for where, line in [*shown_in_pages(), *shown_in_help()]:
        words = shlex.split(line, comments=True) if "art-domainrand " in line and "'" not in line else []
        if "art-domainrand" in words:
            arguments = words[words.index("art-domainrand") + 1 :]
            yield pytest.param(arguments, id=f"{where}: {' '.join(arguments)}")


@pytest.mark.parametrize("arguments", list(commands()))
def test_it_is_understood(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text("seed: 1")
    name = arguments[0]
    assert name in {command.name or command.callback.__name__ for command in app.registered_commands}
    known = set(re.findall(r"--[a-z-]+", call(name, "--help").stdout.split("Example")[0]))
    assert {word.split("=")[0] for word in arguments if word.startswith("--")} <= known
    if name == "evaluate":
        assert call(*arguments, "--dump-config").exit_code == 0


def test_some_are_found():
    assert len(list(commands())) > 8
