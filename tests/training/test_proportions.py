"""How the rows of a batch are divided among originals, copies and adversarial images."""

import numpy as np
import pytest
import torch

from art_domainrand.core.random import CHOICE, keys_of
from art_domainrand.training.data.proportions import Mix, plan_batch, spread_copies


@pytest.mark.parametrize(
    ("batch_size", "proportions", "rows"),
    [
        (96, None, (32, 32, 32)),
        (128, (0.5, 0.25, 0.25), (64, 32, 32)),
        (128, (2, 1, 1), (64, 32, 32)),
        (30, (0.1, 0.1, 0.1), (10, 10, 10)),  # 0.1 + 0.1 + 0.1 is above 0.3 in floating point
        (10, (0.1, 0.2, 0.7), (1, 2, 7)),
        (12, (0, 1, 2), (0, 4, 8)),
        (7, (0, 0, 1), (0, 0, 7)),
        (10, (1, 1, 1), (4, 3, 3)),
        (11, (1, 1, 1), (4, 4, 3)),
    ],
)
def test_rows_are_the_proportions(batch_size, proportions, rows):
    assert plan_batch(batch_size, proportions, attacked=True).rows == rows


@pytest.mark.parametrize("rows", [(8, 8, 0), (8, 4, 2), (3, 7, 5), (0, 6, 3), (0, 0, 5), (4, 1, 0)])
def test_a_batch_of_fewer_images_keeps_the_proportions(rows):
    mix = Mix(rows)
    assert mix.of(mix.sources) == rows
    for images in range(1, mix.sources):
        part = mix.of(images)
        assert part[rows.index(mix.sources)] == images
        assert all(abs(got - full * images / mix.sources) <= 0.5 for got, full in zip(part, rows, strict=True))


def keys(n: int, seed: int = 0) -> torch.Tensor:
    return keys_of(seed, CHOICE, torch.arange(n))


def test_copies_are_spread_evenly():
    assert spread_copies(keys(5), 5).tolist() == [0, 1, 2, 3, 4]
    counts = torch.bincount(spread_copies(keys(5), 13), minlength=5)
    assert counts.sum() == 13
    assert set(counts.tolist()) == {2, 3}
    chosen = [tuple(spread_copies(keys(8, seed), 3).tolist()) for seed in range(20)]
    assert all(len(set(rows)) == 3 for rows in chosen)
    assert len(set(chosen)) > 10


@pytest.mark.parametrize(
    ("batch_size", "proportions", "attacked", "message"),
    [
        (8, (1, -1, 0), False, "proportions must be three numbers >= 0"),
        (8, (1, 1), False, "proportions must be three numbers >= 0"),
        (8, (1, -1, 0), False, "got \\(1, -1, 0\\)"),
        (8, (0, 0, 0), False, "not all 0"),
        (8, (1, float("nan"), 0), False, "three numbers"),
        (8, "abc", False, "three numbers"),
        (8, (1, 1, 1), False, "no adversarial part where attack is None"),
        (8, (1, 1, 0), True, "an adversarial part where attack is given"),
        (2, (1, 1, 1), True, "batch_size must give every part of proportions"),
    ],
)
def test_refused(batch_size, proportions, attacked, message):
    with pytest.raises(ValueError, match=message):
        plan_batch(batch_size, proportions, attacked)


@pytest.mark.parametrize("proportions", [np.array([1, 1, 0]), (np.int64(1), np.float32(1), 0)])
def test_numbers_of_numpy_are_numbers(proportions):
    assert plan_batch(8, proportions, attacked=False).rows == (4, 4, 0)
