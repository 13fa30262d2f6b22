"""Blocks for conditions to be performed on, and models whose outcome is known in closed form."""

import numpy as np
import torch
from torch import nn

from art_domainrand.evaluation.running.block import Block

from support.estimators import CLASSES, SHAPE, wrap

NAMES = [f"class {k}" for k in range(CLASSES)]


def block_of(x, y, **changes):
    """All of ``x`` as one block, shown four at a time."""
    given = {"samples": np.arange(len(x)), "sources": ("",) * len(x), "seed": 0, "batch_size": 4} | changes
    return Block(x=x, y=y, **given)


def linear(classes=2, seed=0, **options):
    """A linear model of images 8x8, and its weights (K, 64)."""
    torch.manual_seed(seed)
    layer = nn.Linear(64, classes)
    return wrap(nn.Sequential(nn.Flatten(), layer), nb_classes=classes, **options), layer.weight.detach().numpy()


def inner_images(n, seed=0):
    """Images far from the ends of [0, 1]."""
    return (0.4 + 0.2 * np.random.default_rng(seed).random((n, *SHAPE))).astype(np.float32)
