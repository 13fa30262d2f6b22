"""Expectation over draws: its gradient, its draws, and success that must hold for draws nobody has seen."""

import numpy as np
import pytest
import torch
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from torch import nn

from art_domainrand import FGSM, PGD, AutoPGD, DomainRandomization, StrongestAttack
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.evaluator import Evaluator, Expectation
from art_domainrand.attacks.engine.randomness import is_random
from art_domainrand.core.random import STEP, derive
from art_domainrand.estimators import open_estimator
from art_domainrand.randomization import Brightness, GaussianNoise, Pipeline
from art_domainrand.randomization.core.distributions import Uniform
from art_domainrand.randomization.core.sampling import keyed_draws

from support.attacks import SMALL, Linear, RowWise, called_fooled, fooled, memory_for, predicted, seen_by, some_images
from support.estimators import wrap

SHIFT = Pipeline([Brightness(Uniform(-0.1, 0.1))])
QUICK = SMALL | {"loss": "margin", "seed": 5, "batch_size": 100}


def looking_through(pipeline=SHIFT, **kwargs):
    return DomainRandomization(pipeline, device_type="cpu", **kwargs)


def one_look(classifier, x, y, samples, draws="fresh", view=None, loss="cross_entropy", seed=0, times=1):
    """What an evaluator says of x, ``times`` times over."""
    with open_estimator(classifier) as source:
        labels = torch.nn.functional.one_hot(torch.from_numpy(y), classifier.nb_classes).float()
        keys = derive(torch.arange(len(x)), seed)
        evaluator = Evaluator(source, Criterion(labels, 1, loss), Expectation(samples, view, draws), keys, random=True)
        rows = torch.arange(len(x))
        return [evaluator.evaluate(torch.from_numpy(x), rows) for _ in range(times)]


@pytest.mark.parametrize("where", ["view", "estimator"])
def test_the_gradient_is_the_mean_over_the_draws(where):
    """Each draw alone, through autograd: the numbers of the same keys."""
    x, wide = some_images(9), Pipeline([Brightness(Uniform(-0.4, 0.4))])
    model, view = RowWise(), looking_through(wide, apply_predict=True)
    classifier = wrap(model, preprocessing_defences=[view] if where == "estimator" else None)
    y = predicted(wrap(model), x)
    (found,) = one_look(classifier, x, y, 6, view=view if where == "view" else None)
    draw = keyed_draws(wide, derive(torch.arange(9), 0, STEP, 0, 0), 6)
    gradient, value, margin = torch.zeros(9, 1, 8, 8), torch.zeros(9), torch.zeros(9)
    some, hits = torch.zeros(9, dtype=torch.bool), torch.ones(9, dtype=torch.bool)
    for i in range(6):
        leaf = torch.from_numpy(x).clone().requires_grad_()
        scores = model(view.randomize(leaf, draw[torch.arange(9) * 6 + i]))
        loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(y), reduction="none")
        gradient += torch.autograd.grad(loss.sum(), leaf)[0] / 6
        value += loss.detach() / 6
        others = scores.detach().clone()
        others[torch.arange(9), y] = -torch.inf
        margin += (others.amax(1) - scores.detach()[torch.arange(9), y]) / 6
        hits &= scores.argmax(1) != torch.from_numpy(y)
        some |= scores.argmax(1) != torch.from_numpy(y)
    assert torch.allclose(found.gradient, gradient, atol=1e-6)
    assert torch.allclose(found.value, value, atol=1e-6)
    assert torch.allclose(found.margin, margin, atol=1e-5)
    assert torch.equal(found.fooled, hits)
    assert not torch.equal(some, hits), "nobody was fooled by some draws only: the test is empty"


@pytest.mark.parametrize("where", ["view", "estimator"])
@pytest.mark.parametrize("draws", ["fresh", "common", "antithetic", "sobol"])
def test_only_common_draws_repeat(draws, where):
    view = looking_through(apply_predict=True)
    classifier = wrap(RowWise(), preprocessing_defences=[view] if where == "estimator" else None)
    x, y = some_images(3), np.zeros(3, int)
    with seen_by(classifier.model) as seen:
        one_look(classifier, x, y, 4, draws, view if where == "view" else None, times=3)
    assert len(seen) == 3
    assert torch.equal(seen[0], seen[1]) == (draws == "common")
    shifts = (seen[0] - torch.from_numpy(x).repeat_interleave(4, 0)).mean((1, 2, 3)).view(3, 4)
    assert len(shifts.flatten().unique()) == 12, "every copy of every image has a draw of its own"
    if draws == "antithetic":
        assert torch.allclose(shifts[:, ::2], -shifts[:, 1::2], atol=1e-6)
    if draws == "sobol":
        quarters = ((shifts + 0.1) / 0.2 * 4).long().sort(1).values
        assert torch.equal(quarters, torch.arange(4).expand(3, 4)), "one in each quarter"


def test_antithetic_draws_are_exact_for_a_linear_function():
    """The margin of a linear two-class model is linear in a shift of brightness: the mean over pairs has no error."""
    classifier, x, y = wrap(Linear(classes=2), nb_classes=2), some_images(6), np.array([0, 1] * 3)
    view = looking_through(clip=None)
    exact = one_look(classifier, x, y, 1, loss="margin")[0].value
    pairs = one_look(classifier, x, y, 4, "antithetic", view, loss="margin")[0].value
    fresh = one_look(classifier, x, y, 4, "fresh", view, loss="margin")[0].value
    assert torch.allclose(pairs, exact, atol=1e-5)
    assert (fresh - exact).abs().min() > 1e-3


def test_a_sample_keeps_its_draws_when_others_leave():
    classifier, x, y = wrap(RowWise()), some_images(6), np.zeros(6, int)
    view = looking_through()
    left = torch.tensor([1, 4])
    with open_estimator(classifier) as source:
        labels = torch.nn.functional.one_hot(torch.from_numpy(y), 4).float()

        def look(rows):
            evaluator = Evaluator(
                source, Criterion(labels, 1, "margin"), Expectation(3, view), torch.arange(6), random=True
            )
            return evaluator.evaluate(torch.from_numpy(x)[rows], rows)

        alone, everyone = look(left), look(torch.arange(6))
    assert torch.equal(alone.gradient, everyone.gradient[left])
    assert torch.equal(alone.value, everyone.value[left])


@pytest.mark.parametrize("draws", ["fresh", "common", "antithetic", "sobol"])
@pytest.mark.parametrize("where", ["view", "estimator"])
@pytest.mark.parametrize("loss", ["margin", None])
def test_little_memory_changes_nothing(where, draws, loss):
    view = looking_through(apply_predict=True, seed=0)
    model = RowWise()
    x = some_images(5)

    def run():
        inside = where == "estimator"
        defences = [looking_through(apply_predict=True, seed=0)] if inside else None
        classifier = wrap(model, preprocessing_defences=defences)
        randomization = None if inside else view.pipeline
        options = QUICK | {"loss": loss, "norm": 2, "eps": 0.3, "eps_step": 0.1, "max_iter": 4}
        attack = PGD(classifier, eot_samples=5, eot_draws=draws, randomization=randomization, **options)
        return attack.generate(x, np.zeros(5, int))

    unlimited = run()
    for rows in (1, 4, 13):
        with memory_for(model, rows):
            assert np.abs(run() - unlimited).max() < 2e-6


def test_the_attack_alone_looks_through_its_randomization():
    classifier, x = wrap(RowWise()), some_images(6)
    y = predicted(classifier, x)
    before = classifier.predict(x)
    attack = PGD(classifier, randomization=SHIFT, eot_samples=2, keep_best=True, **QUICK)
    adv = attack.generate(x, y)
    assert np.array_equal(classifier.predict(x), before)
    assert not classifier.preprocessing_defences
    assert np.abs(adv - x).max() <= 0.15 + 1e-7
    assert np.array_equal(
        PGD(classifier, randomization=SHIFT, eot_samples=2, keep_best=True, **QUICK).generate(x, y), adv
    )


def test_examples_that_must_survive_randomization_do():
    """Success is judged through draws of its own: what is called fooled is fooled under most others too."""
    classifier, x = wrap(RowWise()), some_images(30)
    y = predicted(classifier, x)
    wide = Pipeline([Brightness(Uniform(-0.15, 0.15)), GaussianNoise(0.1)])
    options = QUICK | {"eps": 0.03, "eps_step": 0.01}
    robust = PGD(classifier, randomization=wide, eot_samples=8, early_stop=True, **options).generate(x, y)
    plain = PGD(classifier, early_stop=True, **options).generate(x, y)

    def survives(adv):
        seen = torch.stack([wide(torch.from_numpy(adv), torch.Generator().manual_seed(i)) for i in range(60)])
        return np.stack([fooled(classifier, s.clamp(0, 1).numpy(), y) for s in seen]).mean(0)

    assert survives(robust).mean() > survives(plain).mean() + 0.05


class CoinFlip(nn.Module):
    """A robust constant defence that flips one prediction in ten, by a generator of its own."""

    def __init__(self, inner, share=0.1):
        super().__init__()
        self.inner, self.share = inner, share
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x):
        scores = self.inner(x)
        flip = torch.rand(len(x), 1, generator=self.generator) < self.share
        return torch.where(flip, -scores, scores)


@pytest.mark.parametrize("n", [1, 3, 60])
def test_a_defence_that_flips_coins_is_noticed(n):
    missed = 0
    for seed in range(20):
        classifier = wrap(CoinFlip(RowWise(seed=seed)))
        classifier.model.generator.manual_seed(seed)
        with open_estimator(classifier) as source:
            missed += not is_random(source, torch.from_numpy(some_images(n)))
    assert missed <= (3 if n < 16 else 0)


def test_what_is_not_random_is_not_called_so():
    class Undefined(nn.Module):
        def forward(self, x):
            return RowWise()(x) * torch.tensor([1.0, torch.nan, torch.inf, 1.0])

    for model in (RowWise(), Undefined()):
        with open_estimator(wrap(model)) as source:
            assert not is_random(source, torch.from_numpy(some_images(5)))


@pytest.mark.parametrize(
    "kind", ["early_stop", "keep_best", "restarts", "plain restarts", "minimal", "AutoPGD", "strongest"]
)
def test_a_defence_that_flips_coins_is_not_broken(kind):
    """No perturbation of 1e-6 changes these predictions; the defence flips them, and is not called broken for it."""
    classifier, x = wrap(CoinFlip(RowWise())), some_images(40)
    y = predicted(wrap(classifier.model.inner), x)
    options = {"eps": 1e-6, "verbose": False, "seed": 0, "batch_size": 64}
    pgd = {"eps_step": 1e-6, "max_iter": 15, "loss": "margin"} | options
    attack = {
        "early_stop": lambda: PGD(classifier, early_stop=True, **pgd),
        "keep_best": lambda: PGD(classifier, keep_best=True, eot_samples=4, **pgd),
        "restarts": lambda: PGD(classifier, num_random_init=3, early_stop=True, keep_best=True, **pgd),
        "plain restarts": lambda: PGD(classifier, num_random_init=3, eps_step=1e-6, max_iter=15, **options),
        "minimal": lambda: FGSM(classifier, eps_step=1e-7, minimal=True, **options),
        "AutoPGD": lambda: AutoPGD(classifier, max_iter=15, nb_random_init=2, **options),
        "strongest": lambda: StrongestAttack(classifier, budget="quick", eot_samples=4, **options),
    }[kind]()
    found = called_fooled(attack, x, y)
    assert found.sum() == 0
    assert 0.05 < np.mean([fooled(classifier, x, y).mean() for _ in range(20)]) < 0.15, "although one in ten flips"


def test_coin_flips_do_not_hide_what_is_fooled():
    """Under the flips an example fools nine times in ten; ten draws agree now and then, one of many steps suffices."""
    classifier, x = wrap(CoinFlip(RowWise(), share=0.02)), some_images(20)
    y = predicted(wrap(classifier.model.inner), x)
    attack = PGD(classifier, early_stop=True, **QUICK | {"max_iter": 30})
    assert called_fooled(attack, x, y).mean() > 0.8


def test_randomized_smoothing_is_attacked():
    x = some_images(12)
    model = RowWise()
    y = predicted(wrap(model), x)
    options = {"input_shape": (1, 8, 8), "nb_classes": 4, "clip_values": (0, 1), "sample_size": 8, "scale": 0.05}
    smoothed = PyTorchRandomizedSmoothing(model, loss=nn.CrossEntropyLoss(), device_type="cpu", **options)
    adv = PGD(smoothed, early_stop=True, eot_samples=4, **QUICK | {"max_iter": 20}).generate(x, y)
    assert fooled(wrap(model), adv, y).mean() > 0.8
    assert np.abs(adv - x).max() <= 0.15 + 1e-7


def test_the_estimators_own_randomization_is_met():
    x, model = some_images(20), RowWise()
    classifier = wrap(model, preprocessing_defences=[looking_through(apply_predict=True, seed=1)])
    y = predicted(wrap(model), x)
    options = QUICK | {"eps": 0.04, "eps_step": 0.01, "early_stop": True}
    runs = [PGD(classifier, eot_samples=4, eot_draws=d, **options).generate(x, y) for d in ("fresh", "sobol")]
    for adv in runs:
        assert np.mean([fooled(classifier, adv, y).mean() for _ in range(10)]) > 0.6
    again = wrap(model, preprocessing_defences=[looking_through(apply_predict=True, seed=1)])
    assert not np.array_equal(runs[0], runs[1])
    assert np.array_equal(PGD(again, eot_samples=4, **options).generate(x, y), runs[0])


def test_strongest_averages_over_draws_where_something_is_random():
    x, model = some_images(4), RowWise()
    classifier = wrap(model, preprocessing_defences=[looking_through(apply_predict=True, seed=1)])
    with seen_by(model) as seen:
        StrongestAttack(classifier, eps=1e-4, budget="quick", batch_size=64, seed=0, verbose=False).generate(
            x, predicted(wrap(model), x)
        )
    assert len(seen[0]) == 4 * 16
