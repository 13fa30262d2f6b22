"""Channels exchanged, lost and shifted."""

import itertools

import pytest
import torch

from art_domainrand.randomization import ChannelDropout, ChannelShuffle, Pipeline, RGBShift


def draw_for(pipeline, n, seed=0):
    return pipeline.sample(n, torch.Generator().manual_seed(seed))


def test_shuffling_gives_every_order_as_often_as_every_other():
    pipeline, n = Pipeline(ChannelShuffle()), 6000
    x = torch.tensor([0.1, 0.5, 0.9]).view(1, 3, 1, 1).expand(n, 3, 2, 2)
    changed = pipeline.apply(x, draw_for(pipeline, n))[:, :, 0, 0]
    shares = [
        (changed == torch.tensor(order)).all(1).double().mean().item()
        for order in itertools.permutations([0.1, 0.5, 0.9])
    ]
    assert sum(shares) == pytest.approx(1, abs=1e-12), "every result is the same three values, in some order"
    assert all(share == pytest.approx(1 / 6, abs=4 * (5 / 36 / n) ** 0.5) for share in shares)


def test_half_an_amount_is_halfway_to_the_shuffled_image():
    x = torch.rand(4, 5, 6, 6)
    whole, half = Pipeline(ChannelShuffle()), Pipeline(ChannelShuffle(amount=0.5))
    draw = draw_for(whole, 4)
    torch.testing.assert_close(half.apply(x, draw), (x + whole.apply(x, draw)) / 2)


@pytest.mark.parametrize(("count", "channels"), [(1, 3), (2, 3), (3, 5), (4, 4)])
def test_dropout_replaces_so_many_channels_and_keeps_the_others(count, channels):
    pipeline = Pipeline(ChannelDropout(fill=0.25, count=count))
    x = torch.rand(200, channels, 3, 3) + 1
    changed = pipeline.apply(x, draw_for(pipeline, 200))
    lost = (changed == 0.25).flatten(2).all(2)
    assert (lost.sum(1) == count).all()
    assert torch.equal(changed[~lost], x[~lost])
    assert (lost.double().mean(0) - count / channels).abs().max() < 5 * 0.5 / 200**0.5


def test_dropout_refuses_counts_that_cannot_be():
    with pytest.raises(ValueError, match="count must be an int > 0, got 0"):
        ChannelDropout(count=0)
    with pytest.raises(ValueError, match="count must be at most 3, the number of channels of x, got 4"):
        Pipeline(ChannelDropout(count=4))(torch.rand(1, 3, 4, 4))


def test_rgb_shift_adds_its_three_numbers():
    x = torch.rand(2, 3, 4, 4)
    changed = Pipeline(RGBShift(0.1, -0.2, 0.3))(x)
    torch.testing.assert_close(changed, x + torch.tensor([0.1, -0.2, 0.3]).view(3, 1, 1))


def test_they_fuse_with_their_neighbours():
    assert len(Pipeline([ChannelShuffle(), RGBShift(), ChannelDropout()]).chain.stages) == 1
