"""Random models: predictions are keyed, so rows are the same in any order of units; the estimator is left as found."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.defences.postprocessor import GaussianNoise
from art.estimators.classification import EnsembleClassifier
from torch import nn

from art_domainrand import DomainRandomization
from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted, DomainAttacked, Randomized, Then
from art_domainrand.evaluation.running.judge import is_random_model
from art_domainrand.evaluation.running.perform import perform
from art_domainrand.randomization import Brightness, Pipeline, Rotation

from support.estimators import cnn, make_classifier, wrap
from support.performing import NAMES, block_of

PIPELINE = Pipeline([Rotation((-60, 60)), Brightness((-0.2, 0.2))])


class Noisy(nn.Module):
    """A network with dropout that is never turned off."""

    def __init__(self):
        super().__init__()
        self.model = cnn()

    def forward(self, x):
        return self.model(nn.functional.dropout(x, 0.3, training=True))


def of_preprocessor():
    return make_classifier(preprocessing_defences=DomainRandomization(PIPELINE, apply_predict=True))


def of_dropout():
    return make_classifier(Noisy())


def of_postprocessor():
    return make_classifier(postprocessing_defences=GaussianNoise(scale=0.5))


def of_an_ensemble():
    return EnsembleClassifier([of_preprocessor(), make_classifier()], clip_values=(0, 1), channels_first=True)


RANDOM = [of_preprocessor, of_dropout, of_postprocessor, of_an_ensemble]


@pytest.mark.parametrize("make", RANDOM)
def test_randomness_is_noticed_and_leaves_no_trace(make, images):
    model = make()
    before = torch.get_rng_state()
    assert is_random_model(model, images)
    assert torch.equal(before, torch.get_rng_state())


def test_other_models_are_not_taken_for_random(classifier, images):
    assert not is_random_model(classifier, images)


@pytest.mark.parametrize("make", RANDOM)
def test_rows_are_the_same_whatever_ran_before(make, images, labels):
    conditions = [
        [Clean()],
        [Attacked("art:ProjectedGradientDescent", 0.1, options={"max_iter": 2})],
        [Corrupted("fog", 2)],
    ]
    one, two = make(), make()
    forwards = [perform(one, family, block_of(images, labels), classes=NAMES, predictions=3) for family in conditions]
    torch.rand(5)
    two.predict(images)
    backwards = [
        perform(two, family, block_of(images, labels), classes=NAMES, predictions=3) for family in conditions[::-1]
    ]
    for a, b in zip(forwards, backwards[::-1], strict=True):
        assert a.rows.tobytes() == b.rows.tobytes()
        assert (a.rows["draw"].reshape(10, 3) == np.arange(3)).all()
    margins = forwards[0].rows["margin"].reshape(10, 3)
    assert (np.ptp(margins, 1) > 0).all()


def test_draws_of_our_preprocessor_belong_to_the_sample(images, labels):
    whole = perform(of_preprocessor(), [Clean()], block_of(images, labels), classes=NAMES, predictions=2).rows
    part = block_of(images, labels).take(np.array([8, 3]))
    found = perform(of_preprocessor(), [Clean()], part, classes=NAMES, predictions=2).rows
    expected = whole.reshape(10, 2)[[8, 3]].reshape(-1)
    np.testing.assert_allclose(found["margin"], expected["margin"], rtol=1e-5)


def test_what_the_user_draws_goes_on_as_if_nothing_had_been_drawn(images, labels):
    model, other = of_preprocessor(), of_preprocessor()
    for one in (model, other):
        one.preprocessing_operations[0].set_params(seed=4)
    family = [Attacked("art:ProjectedGradientDescent", 0.1, options={"max_iter": 2})]
    perform(model, family, block_of(images, labels), classes=NAMES, predictions=2)
    np.testing.assert_array_equal(model.predict(images), other.predict(images))


def test_draws_of_condition_and_model_are_numbered_together(images, labels):
    condition = Then(Randomized(PIPELINE, draws=2), Attacked("pgd", 0.05, options={"max_iter": 2}))
    rows = perform(of_dropout(), [condition], block_of(images, labels), classes=NAMES, predictions=3).rows
    assert (rows["draw"].reshape(10, 6) == np.arange(6)).all()
    distances = rows["linf"].reshape(10, 2, 3)
    assert (distances == distances[:, :, :1]).all()


def test_adversarial_examples_are_judged_by_all_predictions_and_samples_always_wrong_are_left_alone(images):
    model = of_dropout()
    clean = perform(model, [Clean()], block_of(images, np.zeros(10, np.int64)), classes=NAMES, predictions=5).rows
    y = np.where(np.arange(10) < 5, clean["predicted"].reshape(10, 5)[:, 0], (clean["predicted"][::5] + 1) % 4)
    block = block_of(images, y)
    before = perform(model, [Clean()], block, classes=NAMES, predictions=5).rows["right"].reshape(10, 5)
    always_wrong = ~before.any(1)
    family = [Attacked("pgd", eps, options={"max_iter": 3}) for eps in (0.05, 0.1)]
    rows = perform(model, family, block, classes=NAMES, predictions=5).rows
    far = rows["linf"].reshape(2, 10, 5)
    assert always_wrong.any()
    assert not far[:, always_wrong].any()
    assert (far[:, ~always_wrong] > 0).all()
    assert (far <= np.array([0.0501, 0.1001])[:, None, None]).all()


def test_a_curve_of_a_random_model_takes_no_luck_for_success():
    """Looked at again and again until a noisy model errs, most samples would fall while they are hardly changed."""
    model = make_classifier(postprocessing_defences=GaussianNoise(scale=2.0))
    x = np.random.default_rng(2).random((60, 1, 8, 8), dtype=np.float32)
    y = make_classifier().predict(x).argmax(1)
    options = {"max_iter": 1, "eps_step": 1e-7, "num_random_init": 0}
    family = [Attacked("pgd", eps, options=options) for eps in np.linspace(1e-6, 1e-5, 16)]
    block = block_of(x, y, batch_size=60)
    rows = perform(model, family, block, classes=NAMES, predictions=2).rows["right"].reshape(16, 60, 2)
    clean = perform(model, [Clean()], block, classes=NAMES, predictions=2).rows["right"]
    assert 0.6 < clean.mean() < 0.95
    assert (rows == clean.reshape(60, 2)).mean() > 0.99


def test_the_worst_domain_of_a_random_model_is_found_too(images, labels):
    rows = perform(of_dropout(), [DomainAttacked(PIPELINE, 10)], block_of(images, labels), classes=NAMES, predictions=2)
    assert len(rows.rows) == 20


def test_the_estimator_is_left_as_found(images, labels):
    model = wrap(nn.Sequential(cnn(), nn.BatchNorm1d(4)))
    model.model.train()
    next(iter(model.model.parameters())).grad = marked = torch.ones(6, 1, 3, 3)
    mean = model.model[1].running_mean.clone()
    for condition in (Clean(), Attacked("pgd", 0.1), Attacked("art:ProjectedGradientDescent", 0.1)):
        perform(model, [condition], block_of(images, labels), classes=NAMES)
    assert all(module.training for module in model.model.modules())
    assert next(iter(model.model.parameters())).grad is marked
    assert torch.equal(mean, model.model[1].running_mean)
    assert not model.model[1]._forward_hooks
    assert ProjectedGradientDescent(model, verbose=False, max_iter=1).generate(images).shape == images.shape
