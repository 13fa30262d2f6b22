"""Passes are counted exactly: against a model that counts for itself what goes through it."""

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand.estimators.state import counted_modules
from art_domainrand.evaluation.conditions import (
    Attacked,
    Clean,
    Composite,
    Corrupted,
    Custom,
    DomainAttacked,
    Randomized,
    Then,
    Union,
)
from art_domainrand.evaluation.running.passes import Meter
from art_domainrand.evaluation.running.perform import perform
from art_domainrand.randomization import Brightness, Pipeline, Rotation

from support.estimators import cnn, make_classifier
from support.performing import NAMES, block_of

PIPELINE = Pipeline([Rotation((-30, 30)), Brightness((0.1, 0.3))])


class Tally(torch.autograd.Function):
    """The identity; counts gradients that come back."""

    @staticmethod
    def forward(ctx, x, owner):
        ctx.owner = owner
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.owner.backwards += len(gradient)
        return gradient, None


class Counting(nn.Module):
    """A network that counts the images and the gradients that go through it."""

    def __init__(self):
        super().__init__()
        self.model = cnn()
        self.forwards = self.backwards = 0

    def forward(self, x):
        self.forwards += len(x)
        return Tally.apply(self.model(x), self)


CONDITIONS = [
    [Clean()],
    [Attacked("pgd", eps, options={"max_iter": 7}) for eps in (0.3, 0.02, 0.1, 0.0)],
    [Attacked("strongest", 0.1, options={"budget": "quick"})],
    [Attacked("art:ProjectedGradientDescent", eps, options={"max_iter": 3}) for eps in (0.05, 0.2)],
    [Attacked("art:DeepFool", eps, "l2", {"max_iter": 5}) for eps in (0.1, 0.5, 2.0)],
    [Corrupted("fog", 3)],
    [Randomized(PIPELINE, draws=3)],
    [DomainAttacked(PIPELINE, evaluations=12)],
    [Composite(PIPELINE, 0.1, evaluations=12, max_iter=3)],
    [Then(Randomized(PIPELINE, draws=2), Attacked("pgd", eps, options={"max_iter": 3})) for eps in (0.1, 0.2)],
    [Then(Attacked("pgd", 0.1, options={"max_iter": 3}), Corrupted("fog", 2))],
    [Union((Corrupted("fog", 3), Randomized(PIPELINE, draws=2), Attacked("pgd", 0.05, options={"max_iter": 3})))],
    [Custom(lambda estimator, x, y: x + 1e-3 * estimator.loss_gradient(x, np.eye(4)[y]))],
]


@pytest.mark.parametrize(("wrapped", "predictions"), [(False, 1), (True, 3)])
@pytest.mark.parametrize("family", CONDITIONS, ids=lambda family: family[0].name)
def test_the_rows_add_up_to_what_went_through_the_model(family, wrapped, predictions, images, labels):
    counting = Counting()
    model = make_classifier(nn.Sequential(nn.Identity(), counting, nn.Identity()) if wrapped else counting)
    y = np.where(np.arange(10) % 4, model.predict(images).argmax(1), labels)
    counting.forwards = counting.backwards = 0
    rows = perform(model, family, block_of(images, y), classes=NAMES, predictions=predictions).rows
    assert rows["forwards"].sum() == pytest.approx(counting.forwards, rel=1e-5)
    assert rows["backwards"].sum() == pytest.approx(counting.backwards, rel=1e-5)
    assert counting.forwards > 0


def test_passes_of_other_models_are_not_known(images, labels):
    class Other:
        def predict(self, x, batch_size=128):
            return np.eye(4, dtype=np.float32)[(x.sum((1, 2, 3)) * 10).astype(int) % 4]

    rows = perform(Other(), [Clean()], block_of(images, labels), classes=NAMES).rows
    assert np.isnan(rows["forwards"]).all()
    assert np.isnan(rows["backwards"]).all()


def test_a_network_all_of_whose_members_stand_there_twice_is_not_counted():
    activation = nn.ReLU()
    assert counted_modules(make_classifier(nn.Sequential(activation, activation))) == []


def test_hooks_are_gone_afterwards_also_when_something_fails(classifier):
    with pytest.raises(KeyError), Meter(classifier):
        raise KeyError
    assert not any(module._forward_hooks for module in classifier.model.modules())
