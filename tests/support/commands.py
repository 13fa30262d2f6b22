"""The command line in this process, and small things to give it."""

from functools import cache

from typer import testing
from typer.main import get_command
from typer.testing import CliRunner

from art_domainrand.cli import app

testing._get_command = cache(get_command)  # built anew for each call it takes longer than most commands

NET = """
import torch
from torch import nn
def make(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
def other():
    return make(1)
class Nan(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :10] + (float("nan") if len(x) > 2 else 0)
class Raises(nn.Module):
    def forward(self, x):
        if len(x) > 2:
            raise RuntimeError("out of\\nluck")
        return x.flatten(1)[:, :10]
def wide():
    from art.estimators.classification import PyTorchClassifier
    return PyTorchClassifier(make(), nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 255), device_type="cpu")
"""


def call(*arguments, **environment):
    """The result of a command; an exception that is no exit is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment or None)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def last_error(result):
    """The only line on stderr that tells of an error."""
    lines = [line for line in result.stderr.splitlines() if line.startswith(("Error: ", "Stopped"))]
    assert len(lines) == 1, result.stderr
    return lines[0]
