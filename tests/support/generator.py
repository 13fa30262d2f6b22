"""Images that one grey value tells apart, and generators over them."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from art_domainrand.randomization import Brightness
from art_domainrand.training.data.generator import RandomizedDataGenerator

from support.estimators import CLASSES, SHAPE, cnn, make_classifier

N = 26
SHIFT = Brightness((0.05, 0.3))
# Every image has one grey value, which tells it from all others, well inside the range.
X = np.broadcast_to(np.linspace(0.1, 0.6, N, dtype=np.float32)[:, None, None, None], (N, *SHAPE)).copy()
Y = np.arange(N) % CLASSES


class Pairs(Dataset):
    """Single images and labels, as a dataset on disk yields them."""

    def __len__(self):
        return N

    def __getitem__(self, index):
        return torch.from_numpy(X[index]), int(Y[index])


def generator(x=X, y=Y, *, batch_size=8, randomization=SHIFT, seed=0, **options):
    return RandomizedDataGenerator(x, y, batch_size=batch_size, randomization=randomization, seed=seed, **options)


def trainable(**options):
    model = nn.Sequential(cnn())  # one child: TRADES and FBF take the first of the outputs of the children
    return make_classifier(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.05), **options)


def grey(x):
    """Which image each row is, for rows that show one unchanged."""
    return np.round((x[:, 0, 0, 0] - 0.1) / 0.5 * (N - 1)).astype(int)


def same(a, b):
    return all(np.array_equal(p, q) for one, two in zip(a, b, strict=True) for p, q in zip(one, two, strict=True))
