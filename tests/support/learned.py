"""A small learned domain, and the images it was fitted to."""

import warnings

import numpy as np

from art_domainrand import DomainGenerator

X = np.random.default_rng(0).random((16, 1, 8, 8), dtype=np.float32)
Y = np.zeros(len(X), np.int64)


def learned(seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of few images
        return DomainGenerator(width=4, blocks=0).fit(X, 1 - X / 2, epochs=1, seed=seed)
