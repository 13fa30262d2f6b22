"""Options without effect are said, at the line that gives them, and nothing is said of those with one."""

import warnings

import pytest

from art_domainrand import FGSM, DomainAdversarialTrainer

from support.estimators import cnn
from support.trainer import BRIGHT, corners, trainable, trainer_of


def said(call):
    """The warnings of a call about options."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in found if one.category is RuntimeWarning]


@pytest.mark.parametrize("objective", ["standard", "madry", "trades", "mart", "fast"])
def test_replays_are_for_free_training(objective):
    (message,) = said(lambda: trainer_of(trainable(cnn()), objective=objective, replays=2))
    assert message == f'replays has no effect with objective={objective!r}; it is for "free"'
    assert said(lambda: trainer_of(trainable(cnn()), objective=objective)) == []
    assert said(lambda: trainer_of(trainable(cnn()), objective="free", replays=2)) == []


@pytest.mark.parametrize("objective", ["consistency", "augmix"])
def test_consistency_has_nothing_to_compare_without_a_randomization(objective):
    (message,) = said(lambda: trainer_of(trainable(cnn()), objective=objective))
    assert "compares draws of a randomization; without one its second term is zero" in message
    assert said(lambda: trainer_of(trainable(cnn()), objective=objective, randomization=BRIGHT)) == []


@pytest.mark.parametrize("name", ["eps_epochs", "range_epochs"])
def test_a_curriculum_that_does_not_come_to_its_end_is_said(name):
    x, y = corners(8)
    trainer = trainer_of(trainable(cnn()), randomization=BRIGHT, **{name: 3})
    (message,) = said(lambda: trainer.fit(x, y, batch_size=8, nb_epochs=1))
    assert message.startswith(f"{name} should be less than nb_epochs=1, got 3: the last epoch has 0.25 of ")
    trainer = trainer_of(trainable(cnn()), randomization=BRIGHT, **{name: 1})
    assert said(lambda: trainer.fit(x, y, batch_size=8, nb_epochs=2)) == []


def test_a_warning_points_at_the_line_of_the_user():
    x, y = corners(8)
    with pytest.warns(RuntimeWarning, match="replays") as made:
        trainer = DomainAdversarialTrainer(trainable(cnn()), FGSM(trainable(cnn())), replays=2, eps_epochs=3)
    with pytest.warns(RuntimeWarning, match="eps_epochs") as trained:
        trainer.fit(x, y, nb_epochs=1)
    assert [one.filename for one in (made[0], trained[0])] == [__file__, __file__]
