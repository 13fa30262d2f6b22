"""Ranges that move in training: where planted losses and successes must lead them, and whole runs."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from art_domainrand import DomainRandomization
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.randomization.core.beta import beta_divergence
from art_domainrand.training.learned import AdversarialRanges, DoraemonRanges, GroupRanges, MetaRanges
from art_domainrand.training.learned.entropy import EntropyMaximizingRanges, shape_of_width
from art_domainrand.training.learned.gradient import LearnedBatch
from art_domainrand.training.learned.kinds import ranges_of
from art_domainrand.training.learned.settings import RANGE_KINDS

from support.estimators import cnn
from support.trainer import assert_same, corners, trainable, trainer_of, weights, with_dropout, with_norm

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


def test_odds_keep_no_memory_of_where_they_began() -> None:
    """A small difference adds up, step by step, to where every other group has its last share."""
    ranges = ranges_of(GroupRanges(rate=0.05), CHOICE)
    losses = torch.tensor([0.5, 0.5, 1.0])
    for seed in range(500):
        placed = ranges.place(CHOICE.sample(64, torch.Generator().manual_seed(seed))).u
        ranges.learn(losses[CHOICE.transforms[0].member(placed[:, 0])], torch.arange(64))
    assert float(ranges.learned.odds()[0][2].detach()) > 0.98
    for seed in range(500):
        placed = ranges.place(CHOICE.sample(64, torch.Generator().manual_seed(seed))).u
        ranges.learn(losses.flip(0)[CHOICE.transforms[0].member(placed[:, 0])], torch.arange(64))
    assert float(ranges.learned.odds()[0][0].detach()) > 0.98


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


OPTIONS = [
    {"ranges": "adversarial"},
    {"ranges": AdversarialRanges("box", every=1), "objective": "trades"},
    {"ranges": DoraemonRanges(buffer=24 + 8), "objective": "madry"},
    {"ranges": "groups", "objective": "consistency"},
    {"ranges": MetaRanges(corners(32, 5)), "objective": "madry"},
    {"ranges": MetaRanges(corners(32, 5), method="exact", batch_size=16)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: str(o["ranges"])[:30])
@pytest.mark.filterwarnings("ignore:validation domain too small", "ignore:collapsed ranges")
def test_a_resumed_run_is_the_same_run(tmp_path, options) -> None:
    x, y = corners(32)
    pipeline = R.Pipeline([*ONE.transforms, *CHOICE.transforms])

    def run(folder, epochs, stop=None):
        classifier = trainable(with_norm())
        trainer = trainer_of(
            classifier, randomization=pipeline, schedule="constant", checkpoint=tmp_path / folder, **options
        )
        if stop is not None:
            original = trainer._run

            def stopping(*arguments):
                made = original(*arguments)
                epoch = made.epoch

                def until(number, batches):
                    if number == stop:
                        raise KeyboardInterrupt
                    return epoch(number, batches)

                made.epoch = until
                return made

            trainer._run = stopping
        trainer.fit(x, y, batch_size=16, nb_epochs=epochs)
        return classifier, trainer.history

    whole, history = run("whole", 2)
    with pytest.raises(KeyboardInterrupt):
        run("parts", 2, stop=1)
    resumed, again = run("parts", 2)
    assert_same(weights(whole), weights(resumed))
    assert history == again
    assert history[0]["entropy"] != history[-1]["entropy"]


@pytest.mark.parametrize("randomized", ["model", "preprocessor", "neither"])
def test_following_a_gradient_leaves_the_model_as_it_is(randomized: str) -> None:
    """A step that moves nothing trains the same weights and statistics as no step, whatever the classifier draws."""
    x, y = corners(48)
    found = []
    for ranges in (None, AdversarialRanges("box", rate=1e-30)):
        defence = DomainRandomization(R.Brightness((-0.1, 0.1)), clip_values=(0, 1), apply_fit=True, seed=3)
        classifier = trainable(
            with_dropout() if randomized == "model" else with_norm(),
            preprocessing_defences=[defence] if randomized == "preprocessor" else None,
        )
        trainer_of(classifier, randomization=ONE, ranges=ranges).fit(x, y, batch_size=16, nb_epochs=2)
        found.append(weights(classifier))
    assert_same(*found)


def test_collapsed_ranges_are_said() -> None:
    x, y = corners(32)
    trainer = trainer_of(trainable(), randomization=ONE, ranges=DoraemonRanges(first_width=0.07))
    with pytest.warns(RuntimeWarning, match="collapsed ranges: their mean width is 7.0% of the pipeline's"):
        trainer.fit(x, y, batch_size=16, nb_epochs=1)


def test_a_validation_domain_that_is_too_small_is_said() -> None:
    x, y = corners(64)
    rng = np.random.default_rng(0)
    noise = (rng.random((8, 1, 8, 8)).astype(np.float32), rng.integers(0, 4, 8))
    with pytest.warns(RuntimeWarning, match="validation domain too small: .* with 8 images"):
        trainer_of(trainable(), randomization=ONE, ranges=MetaRanges(noise)).fit(x, y, batch_size=16, nb_epochs=1)
    many = corners(512, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        settings = MetaRanges(many, batch_size=512)
        trainer_of(trainable(), randomization=ONE, ranges=settings).fit(x, y, batch_size=16, nb_epochs=1)


def test_meta_takes_the_validation_data_where_it_has_no_domain() -> None:
    x, y = corners(32)
    trainer = trainer_of(trainable(), randomization=ONE, ranges="meta")
    with pytest.raises(ValueError, match='validation_data must hold at least 8 images for ranges="meta"'):
        trainer.fit(x, y, batch_size=16, nb_epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        trainer.fit(x, y, batch_size=16, nb_epochs=1, validation_data=corners(32, 4))
    assert "entropy" in trainer.history[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranges": "wide"}, "ranges must be None, one of"),
        ({"ranges": 3}, "ranges must be None, one of"),
        ({"ranges": "adverserial"}, "did you mean 'adversarial'"),
        ({"objective": "trade"}, "did you mean 'trades'"),
        ({"ranges": "adversarial", "range_epochs": 2}, "range_epochs must be 0 with ranges"),
        ({"ranges": "doraemon", "automatic_ranges": True}, "automatic_ranges must be False with ranges"),
        ({"ranges": "meta", "objective": "free"}, "ranges must not follow a gradient"),
        ({"ranges": "automatic", "randomization": None}, "randomization must be given"),
        (
            {"ranges": "adversarial", "randomization": [R.Flip()]},
            "randomization must have a Uniform or LogUniform range",
        ),
        ({"ranges": "doraemon", "randomization": [R.OneOf([R.Flip(), R.Flip(0.0)])]}, "LogUniform range to open, got"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        trainer_of(trainable(), **({"randomization": ONE} | options))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdversarialRanges("gauss"), "family must be one of"),
        (lambda: AdversarialRanges(entropy=-1.0), "entropy must be >= 0"),
        (lambda: AdversarialRanges(every=0), "every must be >= 1"),
        (lambda: MetaRanges(rate=0.0), "rate must be > 0"),
        (lambda: MetaRanges(method="implicit"), "method must be one of"),
        (lambda: MetaRanges(corners(4)), "validation_domain must hold at least 8 images, got 4"),
        (
            lambda: MetaRanges((np.zeros((9, 1, 8, 8)), np.zeros(8))),
            "validation_domain must be .* and 8 labels",
        ),
        (lambda: MetaRanges(corners(9)[0]), "validation_domain must be None or a pair .* got ndarray"),
        (lambda: DoraemonRanges(success=1.0), r"success must be in \(0, 1\)"),
        (lambda: DoraemonRanges(buffer=8), "buffer must be >= 32"),
        (lambda: GroupRanges(0.0), "rate must be > 0"),
    ],
)
def test_settings_name_the_rule_and_the_value(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda x, y: (x, y + 4), r"class indices in \[0, 4\)"),
        (lambda x, y: (x.repeat(3, 1), y), r"x must have images of shape \(1, 8, 8\), got \(3, 8, 8\)"),
        (lambda x, y: (x.transpose(0, 2, 3, 1), y), "the estimator's input_shape"),
        (lambda x, y: ((x * 255).astype(np.uint8), y), "divide x by 255"),
        (lambda x, y: (x, np.full((len(x), 4), 0.25)), "one-hot"),
    ],
)
def test_a_validation_domain_that_the_model_cannot_be_judged_on_is_refused(changed, message) -> None:
    x, y = corners(32)
    trainer = trainer_of(trainable(), randomization=ONE, ranges=MetaRanges(changed(x, y)))
    with pytest.raises(ValueError, match=f"validation_domain: .*{message}"):
        trainer.fit(x, y, batch_size=16, nb_epochs=1)


def test_a_validation_domain_takes_labels_in_the_forms_that_fit_takes() -> None:
    x, y = corners(48)
    found = []
    for labels in (y, np.eye(4)[y], torch.from_numpy(y)[:, None]):
        trainer = trainer_of(trainable(), randomization=ONE, ranges=MetaRanges((x, labels)))
        trainer.fit(x, y, batch_size=16, nb_epochs=1)
        found.append(trainer.ranges.to_pipeline())
    assert found[0] == found[1] == found[2] != ONE


@pytest.mark.parametrize("make", [lambda: AdversarialRanges(every=1.5), lambda: DoraemonRanges(buffer=64.0)])
def test_counts_of_settings_are_whole(make) -> None:
    with pytest.raises(TypeError, match="must be an int"):
        make()


def test_automatic_is_the_option_of_that_name() -> None:
    x, y = corners(48)
    found = []
    for options in ({"ranges": "automatic"}, {"automatic_ranges": True}):
        classifier = trainable()
        trainer_of(classifier, randomization=ONE, **options).fit(x, y, batch_size=16, nb_epochs=2)
        found.append(weights(classifier))
    assert_same(*found)
    assert set(RANGE_KINDS) == {"automatic", "adversarial", "doraemon", "meta", "groups"}
