"""How many calls and files lie between ``generate`` and the model: what one reads to know what happens."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import art_domainrand
from art_domainrand import FGSM, PGD

from support.attacks import RowWise, some_images
from support.estimators import wrap

PACKAGE = str(Path(art_domainrand.__file__).parent)
MOST = 8


class Watched(nn.Module):
    """Notes which frames of this library are on the stack whenever a gradient will be taken."""

    def __init__(self):
        super().__init__()
        self.inner, self.stacks = RowWise(), []

    def forward(self, x):
        if x.requires_grad:
            frame, found = sys._getframe(), []
            while frame is not None:
                if frame.f_code.co_filename.startswith(PACKAGE):
                    found.append((frame.f_code.co_filename, frame.f_code.co_name))
                frame = frame.f_back
            self.stacks.append(found)
        return self.inner(x)


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize(
    "attack",
    [
        lambda c: PGD(c, max_iter=2, num_random_init=2, verbose=False),
        lambda c: FGSM(c),
        lambda c: PGD(c, max_iter=2, early_stop=True, keep_best=True, verbose=False),
    ],
)
def test_from_generate_to_the_model(attack, sequential):
    model = Watched()
    classifier = wrap(nn.Sequential(model) if sequential else model)
    attack(classifier).generate(some_images(3), np.zeros(3, int))
    assert model.stacks
    assert all(stack[-1][1] == "generate" for stack in model.stacks)
    assert max(len(stack) for stack in model.stacks) <= MOST + sequential
    assert max(len({file for file, _ in stack}) for stack in model.stacks) <= MOST


def test_tensors_go_the_same_way():
    model = Watched()
    PGD(wrap(model), max_iter=1, verbose=False).perturb(torch.from_numpy(some_images(3)), torch.zeros(3).long())
    assert max(len(stack) for stack in model.stacks) <= MOST
