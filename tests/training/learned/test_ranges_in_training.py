"""Ranges that learn inside of the trainer: resumed, reported, refused."""

import warnings

import numpy as np
import pytest
import torch

from art_domainrand import DomainRandomization
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.training.learned import AdversarialRanges, DoraemonRanges, GroupRanges, MetaRanges
from art_domainrand.training.learned.settings import RANGE_KINDS

from support.trainer import assert_same, corners, trainable, trainer_of, weights, with_dropout, with_norm

ONE = R.Pipeline([R.Brightness((-0.4, 0.4))])
CHOICE = R.Pipeline([R.OneOf([R.Brightness((-0.1, 0.1)), R.Brightness((0.3, 0.4)), R.Flip()])])


OPTIONS = [
    {"ranges": "adversarial"},
    {"ranges": AdversarialRanges("box", every=1, kept=0.3), "objective": "trades"},
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
        (lambda: MetaRanges(kept=1.0), r"kept must be a number in \[0, 1\), got 1.0"),
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
