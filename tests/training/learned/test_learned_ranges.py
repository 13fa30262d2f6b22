"""Ranges that move in training: where planted losses and successes must lead them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.randomization.core.beta import beta_divergence
from art_domainrand.training.learned import AdversarialRanges, DoraemonRanges, GroupRanges, MetaRanges
from art_domainrand.training.learned.entropy import EntropyMaximizingRanges, shape_of_width
from art_domainrand.training.learned.gradient import LearnedBatch
from art_domainrand.training.learned.kinds import ranges_of

from support.estimators import cnn
from support.trainer import corners, trainable, trainer_of

ONE = R.Pipeline([R.Brightness((-0.4, 0.4))])
CHOICE = R.Pipeline([R.OneOf([R.Brightness((-0.1, 0.1)), R.Brightness((0.3, 0.4)), R.Flip()])])
X = torch.full((64, 1, 4, 4), 0.5)


def planted(pipeline: R.Pipeline, loss, seed: int = 0) -> LearnedBatch:
    """A batch whose loss is a function of the randomized images alone."""
    return LearnedBatch(
        clean=X,
        y=torch.zeros(64, dtype=torch.int64),
        draw=pipeline.sample(64, torch.Generator().manual_seed(seed)),
        perturbation=torch.zeros(16, 1, 4, 4),
        randomize=pipeline.apply,
        losses=lambda weights, images, y: loss(images.mean((1, 2, 3))),
        weights={},
        rate=0.1,
        share=1.0,
        key=seed,
    )


def followed(settings, pipeline: R.Pipeline, loss, steps: int = 25):
    ranges = ranges_of(replace(settings, every=1), pipeline)
    for step in range(steps):
        ranges.follow(planted(pipeline, loss, step))
    return ranges


@pytest.mark.parametrize("family", ["box", "beta"])
def test_adversarial_ranges_go_to_where_the_loss_is(family: str) -> None:
    settings = AdversarialRanges(family, entropy=0.01, rate=0.1)
    bright = followed(settings, ONE, lambda means: 3 * means).place(ONE.sample(2000)).u
    dark = followed(settings, ONE, lambda means: -3 * means).place(ONE.sample(2000)).u
    assert float(bright.mean()) > 0.65
    assert float(dark.mean()) < 0.35


def test_a_share_of_the_images_keeps_the_law_that_was_given() -> None:
    """A quarter of the images stays at its even draw; the others go where all go whose step has the same direction."""
    settings = AdversarialRanges("box", entropy=0.0, rate=0.1)
    draw = ONE.sample(2000, torch.Generator().manual_seed(1))
    whole, rest = (
        followed(replace(settings, kept=kept), ONE, lambda means: 3 * means).place(draw).u for kept in (0, 0.25)
    )
    stays = (rest == draw.u).flatten()
    assert float(stays.double().mean()) == pytest.approx(0.25, abs=0.04)  # four standard deviations
    assert torch.allclose(rest[~stays], whole[~stays], atol=1e-3)
    assert float(whole.mean()) > 0.9


def test_beta_ranges_can_favour_both_ends() -> None:
    ranges = followed(AdversarialRanges(entropy=0.01, rate=0.1), ONE, lambda means: 20 * (means - 0.5).square())
    first, second = ranges.learned.limited()
    assert max(float(first.detach()), float(second.detach())) < 0.8


def test_their_entropy_keeps_ranges_open() -> None:
    held = followed(AdversarialRanges(entropy=100.0, rate=0.1), ONE, lambda means: 3 * means)
    loose = followed(AdversarialRanges(entropy=0.0, rate=0.1), ONE, lambda means: 3 * means)
    assert held.width > 0.98
    assert loose.width < 0.6


def test_adversarial_odds_go_to_the_hard_member() -> None:
    ranges = followed(AdversarialRanges(entropy=0.01, rate=0.1), CHOICE, lambda means: 5 * means)
    odds = ranges.learned.odds()[0].detach()
    assert float(odds[1].detach()) > 0.7


def test_every_says_how_often_a_step_is_taken() -> None:
    ranges = ranges_of(AdversarialRanges(every=3), ONE)
    moved = []
    for step in range(6):
        before = ranges.learned.bounds.detach().clone()
        ranges.follow(planted(ONE, lambda means: means, step))
        moved.append(not torch.equal(before, ranges.learned.bounds))
    assert moved == [False, False, True, False, False, True]


def teach(ranges: EntropyMaximizingRanges, reach: float, images: int) -> None:
    """Let what lies within ``reach`` of the middle be classified correctly."""
    for seed in range(images // 128):
        placed = ranges.place(ONE.sample(128, torch.Generator().manual_seed(seed))).u[:, 0]
        ranges.learn(((placed - 0.5).abs() < reach).float(), torch.arange(128))


def test_doraemon_opens_the_whole_range_where_all_succeeds() -> None:
    ranges = ranges_of(DoraemonRanges(success=0.8, step=0.5, buffer=256, first_width=0.1), ONE)
    assert ranges.width == pytest.approx(0.1, rel=0.01)
    teach(ranges, 1.0, 256 * 12)
    assert ranges.width > 0.95


def test_doraemon_keeps_to_the_success_bound_and_comes_back_to_it() -> None:
    wide, narrow = (
        ranges_of(DoraemonRanges(buffer=512), ONE),
        ranges_of(DoraemonRanges(buffer=512, first_width=0.9), ONE),
    )
    for ranges in (wide, narrow):
        teach(ranges, 0.2, 512 * 8)
        u = ranges.place(ONE.sample(20_000, torch.Generator().manual_seed(9))).u[:, 0]
        assert float(((u - 0.5).abs() < 0.2).float().mean()) == pytest.approx(0.8, abs=0.06)


def test_no_step_of_doraemon_goes_further_than_it_may() -> None:
    ranges = ranges_of(DoraemonRanges(step=0.2, buffer=128), ONE)
    for seed in range(5):
        before = torch.stack(ranges.learned.limited()).detach().double()
        placed = ranges.place(ONE.sample(128, torch.Generator().manual_seed(seed)))
        ranges.learn(torch.ones(len(placed)), torch.arange(128))
        after = torch.stack(ranges.learned.limited()).detach().double()
        gone = float(beta_divergence(*after, *before).sum())
        assert gone == pytest.approx(0.2, abs=5e-3)  # it would like to go further


def test_a_first_width_is_that_of_a_box_of_the_same_entropy() -> None:
    law = torch.distributions.Beta(*torch.tensor([shape_of_width(0.3)] * 2).double())
    assert float(law.entropy()) == pytest.approx(np.log(0.3), abs=1e-6)


def test_odds_follow_the_worst_group() -> None:
    ranges = ranges_of(GroupRanges(rate=0.2), CHOICE)
    for seed in range(30):
        placed = ranges.place(CHOICE.sample(64, torch.Generator().manual_seed(seed))).u
        member = CHOICE.transforms[0].member(placed[:, 0])
        ranges.learn(torch.tensor([0.2, 0.3, 1.5])[member], torch.arange(64))
    assert float(ranges.learned.odds()[0][2].detach()) > 0.9
    with pytest.raises(ValueError, match="randomization must have a OneOf, whose members are the domains"):
        ranges_of(GroupRanges(), ONE)


def test_a_steady_gap_of_losses_moves_the_odds_to_their_limit_and_back() -> None:
    """Exponentiated gradient adds up, rate times gap a step, from even odds to nearly all and none."""
    ranges = ranges_of(GroupRanges(rate=0.1), CHOICE)
    placed = ranges.place(CHOICE.sample(256, torch.Generator().manual_seed(0))).u
    member = CHOICE.transforms[0].member(placed[:, 0])
    for worst in (2, 0):
        losses = torch.full((3,), 1.0)
        losses[worst] = 2.0
        for _ in range(120):  # the logarithm of the odds moves by 0.1 a step
            ranges.learn(losses[member], torch.arange(256))
        assert float(ranges.learned.odds()[0][worst].detach()) > 0.97


def test_groups_in_a_chain_that_is_repeated_share_their_odds() -> None:
    pipeline = R.Pipeline([R.RandomDepth(CHOICE.transforms[0], (0, 3))])
    ranges = ranges_of(GroupRanges(rate=0.2), pipeline)
    for seed in range(40):
        placed = ranges.place(pipeline.sample(64, torch.Generator().manual_seed(seed))).u
        reached = (placed[:, :1] * 4).long() > torch.arange(3)
        columns = [k for k, name in enumerate(pipeline.parameters) if name.endswith("selector")]
        hard = (CHOICE.transforms[0].member(placed[:, columns]) == 1) & reached
        ranges.learn(hard.sum(1).float(), torch.arange(64))
    assert float(ranges.learned.odds()[0][1].detach()) > 0.9


@pytest.mark.filterwarnings("ignore:validation domain too small")
def test_meta_ranges_go_to_where_the_validation_domain_is() -> None:
    """Training images are made bright or dark; those of the domain are bright."""
    x, y = corners(64)
    u = ONE.sample(500, torch.Generator().manual_seed(0)).u[:, 0]
    means = []
    for shift in (0.35, -0.35):
        settings = MetaRanges(((x + np.float32(shift)).clip(0, 1), y), rate=0.1, every=1)
        trainer = trainer_of(trainable(cnn()), randomization=ONE, ranges=settings)
        trainer.fit(x, y, batch_size=16, nb_epochs=4)
        means.append(float(trainer.ranges.to_pipeline().parameters["0.shift"].icdf(u).mean()))
    assert means[0] > 0.05
    assert means[1] < -0.05
