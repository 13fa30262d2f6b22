"""Noise from counters: distribution, independence, and the same integers as a plain Python hash."""

import math

import pytest
import torch

from art_domainrand.core.random import hash_field, member_seeds, normal_field
from art_domainrand.randomization import GaussianNoise, Pipeline

SEEDS = torch.randint(2**63 - 1, (16,), generator=torch.Generator().manual_seed(0))


def python_hash(seed, index):
    """The same hash in Python's unbounded integers."""
    z = seed % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    z ^= z >> 31
    x = (index * ((z & 0xFFFFFFFF) | 1) + (z >> 32)) % 2**32
    x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
    x = (x ^ (x >> 15)) * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def test_the_hash_is_the_one_described():
    expected = [[python_hash(seed, index) for index in range(50)] for seed in SEEDS.tolist()]
    assert (hash_field(SEEDS, 50).long() % 2**32).tolist() == expected
    assert (hash_field(-SEEDS, 3).long() % 2**32)[0].tolist() == [python_hash(-SEEDS[0].item(), k) for k in range(3)]


def test_every_bit_is_fair():
    bits = hash_field(SEEDS, 20000).flatten()
    shares = torch.stack([((bits >> position) & 1).double().mean() for position in range(32)])
    deviation = (shares - 0.5).abs().max().item()
    assert deviation < 5 * 0.5 / math.sqrt(bits.numel())


def test_the_field_is_standard_normal():
    field = normal_field(SEEDS, 100_001).double()
    count = field.numel()
    assert field.isfinite().all()
    assert abs(field.mean().item()) < 4 / math.sqrt(count)
    assert abs(field.var().item() - 1) < 4 * math.sqrt(2 / count)
    assert abs((field**3).mean().item()) < 4 * math.sqrt(15 / count)
    assert abs((field**4).mean().item() - 3) < 4 * math.sqrt(96 / count)
    for bound in (1.0, 2.0, 3.0, 4.0):
        share = math.erfc(bound / math.sqrt(2))
        assert (field.abs() > bound).double().mean().item() == pytest.approx(share, abs=5 * math.sqrt(share / count))


def test_neighbours_and_images_are_independent():
    field = normal_field(SEEDS, 65536).double()
    limit = 5 / math.sqrt(field.numel())
    for lag in (1, 2, 32, 224, 32768):  # half the field apart lie the two values of one hash
        assert abs((field[:, lag:] * field[:, :-lag]).mean().item()) < limit * 1.5
        assert abs((field[:, lag:] ** 2 * field[:, :-lag] ** 2).mean().item() - 1) < limit * 5
    between = field @ field.T / field.shape[1]
    assert (between - torch.diag(between.diag())).abs().max() < 6 / 256


def test_neighbouring_seeds_and_members_are_independent():
    field = normal_field(torch.arange(-8, 8), 65536).double()
    between = field @ field.T / field.shape[1]
    assert (between - torch.diag(between.diag())).abs().max() < 6 / 256
    assert not set(member_seeds(SEEDS, 0).tolist()) & set(member_seeds(SEEDS, 1).tolist())
    nested = [member_seeds(member_seeds(SEEDS, i), j).tolist() for i in range(4) for j in range(4)]
    single = [member_seeds(SEEDS, i).tolist() for i in range(8)]
    assert len({seed for seeds in nested + single for seed in seeds}) == len(SEEDS) * (16 + 8)


def test_noise_has_its_standard_deviation_per_image_and_two_noises_differ():
    x = torch.full((3, 3, 64, 64), 0.5)
    pipeline = Pipeline([GaussianNoise((0.05, 0.3))])
    draw = pipeline.sample(3, torch.Generator().manual_seed(0))
    std = pipeline.chain.values(draw.u, draw.seeds)["0"]["std"]
    torch.testing.assert_close((pipeline.apply(x, draw) - x).flatten(1).std(1), std, rtol=0.03, atol=0)
    twice = Pipeline([GaussianNoise(0.1), GaussianNoise(0.1)])
    assert (twice(x) - x).std().item() == pytest.approx(0.1 * math.sqrt(2), rel=0.03)
