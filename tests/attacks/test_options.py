"""The attacks as ART objects: options, errors, copies, ensembles, and an estimator that comes back as it was."""

import copy
import pickle
import random
import re

import numpy as np
import pytest
import torch
from art.attacks.evasion import AutoAttack, AutoProjectedGradientDescent
from art.attacks.evasion import ProjectedGradientDescent as ArtPGD
from art.defences.preprocessor import SpatialSmoothing
from art.estimators.classification import EnsembleClassifier
from art.estimators.regression.pytorch import PyTorchRegressor
from torch import nn

from art_domainrand import FGSM, PGD, AutoPGD, StrongestAttack
from art_domainrand.randomization import Brightness, Pipeline

from support.attacks import SMALL, RowWise, distance, fooled, margins, predicted, some_images
from support.estimators import wrap

KINDS = {
    "PGD": lambda c, **k: PGD(c, **SMALL | k),
    "FGSM": lambda c, **k: FGSM(c, **{"eps": 0.1} | k),
    "AutoPGD": lambda c, **k: AutoPGD(c, **{"eps": 0.1, "max_iter": 6, "verbose": False} | k),
    "StrongestAttack": lambda c, **k: StrongestAttack(c, **{"eps": 0.1, "budget": "quick", "verbose": False} | k),
}

WRONG = [
    ("PGD FGSM AutoPGD StrongestAttack", {"eotsamples": 2}, TypeError, "unexpected keyword argument 'eotsamples'"),
    ("PGD FGSM AutoPGD StrongestAttack", {"eot_samples": 0}, ValueError, "eot_samples must be >= 1, got 0"),
    ("PGD FGSM AutoPGD StrongestAttack", {"eot_samples": 1.5}, TypeError, "eot_samples must be an int, got 1.5"),
    ("PGD FGSM AutoPGD StrongestAttack", {"eot_draws": "same"}, ValueError, "eot_draws must be one of ['fresh'"),
    ("PGD FGSM AutoPGD StrongestAttack", {"eot_draws": ["fresh"]}, ValueError, "eot_draws must be one of ['fresh'"),
    ("StrongestAttack", {"budget": ["quick"]}, ValueError, "budget must be one of"),
    ("PGD FGSM AutoPGD StrongestAttack", {"quantize": 8}, ValueError, "quantize must be a bool, got 8"),
    ("PGD FGSM AutoPGD StrongestAttack", {"compile": 3}, ValueError, "compile must be a bool or the name"),
    ("PGD FGSM AutoPGD StrongestAttack", {"seed": -1}, ValueError, "seed must be None or an int in [0, 2^63), got -1"),
    ("PGD FGSM", {"loss": "ce"}, ValueError, "loss must be None, one of ['cross_entropy', 'margin', 'dlr']"),
    ("PGD FGSM", {"early_stop": 1}, ValueError, "early_stop must be a bool, got 1"),
    ("PGD FGSM", {"keep_best": "no"}, ValueError, "keep_best must be a bool, got 'no'"),
    ("PGD", {"step_schedule": "linear"}, ValueError, "step_schedule must be one of ['constant', 'cosine', 'halving']"),
    ("AutoPGD StrongestAttack", {"norm": 1.5}, ValueError, 'norm must be "inf", np.inf, 1 or 2, got 1.5'),
    ("AutoPGD StrongestAttack", {"eps": -0.1}, ValueError, "eps must be finite and >= 0, got -0.1"),
    ("AutoPGD StrongestAttack", {"eps": "1"}, TypeError, "eps must be a number or an np.ndarray of numbers, got str"),
    ("AutoPGD StrongestAttack", {"loss": "margin"}, TypeError, "unexpected keyword argument 'loss'"),
    ("AutoPGD", {"eps_step": 0}, ValueError, "eps_step must be > 0, got 0"),
    ("AutoPGD", {"loss_type": "ce"}, ValueError, "loss_type must be one of [None, 'cross_entropy'"),
    ("AutoPGD", {"nb_target_classes": 0}, ValueError, "nb_target_classes must be >= 1, got 0"),
    ("AutoPGD", {"nb_random_init": -1}, ValueError, "nb_random_init must be >= 0, got -1"),
    (
        "AutoPGD",
        {"loss_type": "targeted_dlr", "targeted": True},
        ValueError,
        'loss_type must be other than "targeted_dlr"',
    ),
    ("StrongestAttack", {"budget": "huge"}, ValueError, "budget must be one of ['quick', 'standard', 'full']"),
]


@pytest.mark.parametrize(
    ("kind", "wrong", "error", "message"), [(kind, *rest) for kinds, *rest in WRONG for kind in kinds.split()]
)
def test_wrong_parameters_are_named(kind, wrong, error, message):
    classifier = wrap(RowWise())
    with pytest.raises(error, match=re.escape(message)):
        KINDS[kind](classifier, **wrong)
    if "unexpected" in message:
        return
    attack = KINDS[kind](classifier)
    before = repr(attack)
    with pytest.raises(error, match=re.escape(message)):
        attack.set_params(**wrong)
    assert repr(attack) == before


@pytest.mark.parametrize(
    ("kind", "typo", "meant"),
    [("PGD", "epsilon", "eps"), ("FGSM", "batchsize", "batch_size"), ("AutoPGD", "num_random_init", "nb_random_init")],
)
def test_a_typo_gets_the_nearest_name(kind, typo, meant):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{typo}'.*; did you mean '{meant}'"):
        KINDS[kind](wrap(RowWise()), **{typo: 1})


@pytest.mark.parametrize(
    ("result", "got"),
    [
        (lambda z, y: z.sum(), r"shape \(\)"),
        (lambda z, y: z, r"shape \(5, 4\)"),
        (lambda z, y: z.sum(1).tolist(), "list"),
    ],
)
def test_a_loss_must_say_one_value_per_sample(result, got):
    message = rf"loss must return one value per sample, shape \(5,\), got {got}"
    for attack in (
        KINDS["PGD"](wrap(RowWise()), loss=result),
        KINDS["AutoPGD"](wrap(RowWise()), loss_type=result, nb_random_init=1),
    ):
        with pytest.raises(ValueError, match=message):
            attack.generate(some_images(5), np.zeros(5, int))


def test_a_loss_of_ones_own():
    """Also one that the library knows, so that the result is known; targeted attacks lower it."""
    classifier, x = wrap(RowWise()), some_images(6)
    y = predicted(classifier, x)

    def own(scores, labels):
        return torch.nn.functional.cross_entropy(scores, labels, reduction="none")

    for targeted in (False, True):
        labels = (y + 1) % 4 if targeted else y
        adv = PGD(classifier, loss=own, targeted=targeted, **SMALL).generate(x, labels)
        known = PGD(classifier, loss="cross_entropy", targeted=targeted, **SMALL).generate(x, labels)
        assert np.abs(adv - known).max() < 1e-5
        assert (adv != x).any()


def test_options_need_classes():
    regressor = PyTorchRegressor(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 1)),
        loss=nn.MSELoss(),
        input_shape=(1, 8, 8),
        clip_values=(0, 1),
        device_type="cpu",
    )
    for options, said in (({"loss": "margin"}, "loss"), ({"early_stop": True}, "early_stop")):
        with pytest.raises(
            ValueError, match=f"options must be left at their defaults without class scores, got {said}"
        ):
            PGD(regressor, **SMALL, **options).generate(some_images(2), np.zeros((2, 1), np.float32))
    with pytest.raises(ValueError, match="without class scores, got step_schedule"):
        PGD(regressor, step_schedule="cosine", **SMALL).generate(some_images(2), np.zeros((2, 1), np.float32))


def test_summary_writers_follow_arts_loop_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    attack = PGD(wrap(RowWise()), summary_writer=str(tmp_path), keep_best=True, **SMALL)
    with pytest.raises(ValueError, match="summary_writer must be False with keep_best"):
        attack.generate(some_images(2), np.zeros(2, int))


def test_randomization_needs_a_range_of_pixels():
    attack = PGD(wrap(RowWise(), clip_values=None), randomization=Pipeline([Brightness()]), **SMALL)
    with pytest.raises(ValueError, match="randomization must be None for an estimator without clip_values"):
        attack.generate(some_images(2), np.zeros(2, int))


@pytest.mark.parametrize("kind", KINDS)
def test_copies_attack_alike(kind):
    classifier, x = wrap(RowWise()), some_images(5)
    options = {"eot_samples": 2, "seed": 4, "eps": 0.02}
    fresh = KINDS[kind](classifier, **options)
    expected = KINDS[kind](classifier, **options).generate(x)
    for make in (copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a)), copy.copy):
        twin = make(KINDS[kind](classifier, **options))
        assert repr(twin).replace(" ", "") == repr(fresh).replace(" ", "")
        assert np.array_equal(twin.generate(x), expected)
    plain = KINDS[kind](classifier)
    plain.set_params(**options)
    assert np.array_equal(plain.generate(x), expected)


def state_of(model):
    return (
        [m.training for m in model.modules()],
        [(p.requires_grad, p.grad, p.detach().clone()) for p in model.parameters()],
        [b.clone() for b in model.buffers()],
    )


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.norm, self.left = RowWise(), nn.BatchNorm1d(4), 10**9

    def forward(self, x):
        self.left -= 1
        if self.left < 0:
            raise KeyError("broken")
        return self.norm(self.inner(x))


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_estimator_is_as_it_was(kind, breaks):
    model = Failing()
    classifier, x = wrap(model), some_images(6)
    model.train()
    model.inner.first.requires_grad_(False)
    model.inner.second.grad = torch.ones_like(model.inner.second)
    before, loss = state_of(model), classifier._loss
    attack = KINDS[kind](classifier, eot_samples=2, seed=0, quantize=False, memory_format="channels_last")
    if breaks:
        model.left = 2  # the two looks that tell whether it is random; the first step breaks
        with pytest.raises(KeyError, match="broken"):
            attack.generate(x, np.zeros(6, int))
    else:
        attack.generate(x, np.zeros(6, int))
    after = state_of(model)
    assert after[0] == before[0]
    for (needs, grad, value), (needed, had, was) in zip(after[1], before[1], strict=True):
        assert needs == needed
        assert grad is had
        assert torch.equal(value, was)
    assert all(torch.equal(a, b) for a, b in zip(after[2], before[2], strict=True))
    assert classifier._loss is loss


@pytest.mark.parametrize("randomization", [None, Pipeline([Brightness()])])
@pytest.mark.parametrize("kind", KINDS)
def test_global_generators(kind, randomization):
    """Untouched with a seed; without one NumPy's alone decides, as in ART, where there is something to draw."""
    classifier, x, y = wrap(RowWise()), some_images(4), np.zeros(4, int)

    def states():
        return torch.get_rng_state().numpy().tolist(), np.random.get_state()[1:3], random.getstate()

    def changed(**options):
        before = states()
        KINDS[kind](classifier, randomization=randomization, eot_samples=2, **options).generate(x, y)
        after = states()
        numpy_same = np.array_equal(before[1][0], after[1][0]) and before[1][1] == after[1][1]
        assert before[0] == after[0]
        assert before[2] == after[2]
        return not numpy_same

    assert not changed(seed=3)
    start = {"PGD": "num_random_init", "FGSM": "num_random_init", "AutoPGD": "nb_random_init"}.get(kind)
    if start:
        assert changed(**{start: 0}) == (randomization is not None)
        assert changed(**{start: 1})
    results = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        options = {start: 1} if start else {}
        results.append(KINDS[kind](classifier, randomization=randomization, **options, eot_samples=2).generate(x, y))
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2]) or fooled(classifier, results[0], y).all()


def through_numpy(model):
    """A classifier whose preprocessing is a NumPy-only defence."""
    defence = SpatialSmoothing(window_size=1, channels_first=True, clip_values=(0, 1))
    return wrap(model, preprocessing_defences=[defence], preprocessing=None)


@pytest.mark.parametrize("kind", ["PGD", "AutoPGD", "StrongestAttack"])
def test_estimators_without_a_device_path(kind):
    """ART's class gradients and the chain rule give what autograd gives."""
    model, x = RowWise(), some_images(10)
    y = predicted(wrap(model), x)
    options = {"PGD": {"loss": "dlr", "keep_best": True}, "AutoPGD": {"loss_type": "dlr"}, "StrongestAttack": {}}[kind]
    options |= {"seed": 0, "eps": 0.02}
    device = KINDS[kind](wrap(model), **options).generate(x, y)
    arrays = KINDS[kind](through_numpy(model), **options).generate(x, y)
    assert np.array_equal(fooled(wrap(model), arrays, y), fooled(wrap(model), device, y))
    assert np.abs(arrays - device).max() < 1e-4
    members = [wrap(RowWise(seed=i)) for i in (1, 2)]
    ensemble = EnsembleClassifier(members, clip_values=(0.0, 1.0), channels_first=True)
    labels = ensemble.predict(x).argmax(1)
    adv = KINDS[kind](ensemble, **options | {"eps": 0.1}).generate(x, labels)
    assert (ensemble.predict(adv).argmax(1) != labels).mean() > 0.8


class OneLogit(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = RowWise(classes=1)

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize("kind", ["PGD", "AutoPGD", "StrongestAttack"])
def test_two_classes_by_one_logit_and_by_two(kind):
    x = some_images(12)
    one = wrap(OneLogit(), loss=nn.BCEWithLogitsLoss(), nb_classes=2)
    two = wrap(RowWise(classes=2), nb_classes=2)
    for loss in (None, "margin", "dlr", "cross_entropy"):
        options = {"PGD": {"loss": loss, "early_stop": True}, "AutoPGD": {"loss_type": loss}}.get(kind, {})
        for classifier in (one, two):
            scores = classifier.predict(x)
            y = (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(1)
            adv = KINDS[kind](classifier, seed=0, **options).generate(x, y)
            after = classifier.predict(adv)
            now = (after[:, 0] > 0).astype(int) if after.shape[1] == 1 else after.argmax(1)
            assert (now != y).mean() > 0.8, (loss, classifier is one)


def test_three_classes_have_a_targeted_ratio():
    classifier, x = wrap(RowWise(classes=3), nb_classes=3), some_images(10)
    y = predicted(classifier, x)
    attack = AutoPGD(classifier, eps=0.1, max_iter=10, loss_type="targeted_dlr", seed=0, verbose=False)
    assert fooled(classifier, attack.generate(x, y), y).all()


def test_arts_autoattack_takes_them_all():
    classifier, x = wrap(RowWise()), some_images(16)
    y = predicted(classifier, x)
    eps = 0.012
    attacks = [
        PGD(classifier, eps=eps, eps_step=eps / 4, max_iter=5, early_stop=True, loss="margin", verbose=False),
        AutoPGD(classifier, eps=eps, max_iter=10, loss_type="dlr", seed=0, verbose=False),
        AutoPGD(classifier, eps=eps, max_iter=10, loss_type="targeted_dlr", seed=0, verbose=False),
        StrongestAttack(classifier, eps=eps, budget="quick", seed=0, verbose=False),
    ]
    for targeted in (False, True):
        together = AutoAttack(classifier, eps=eps, eps_step=eps / 4, attacks=attacks, targeted=targeted)
        broken = fooled(classifier, together.generate(x, y), y)
        alone = StrongestAttack(classifier, eps=eps, budget="quick", seed=0, verbose=False).generate(x, y)
        assert 0 < broken.sum() < 16
        assert broken.sum() >= fooled(classifier, alone, y).sum()
        for attack in attacks:
            attack.set_params(targeted=False)


def test_no_weaker_than_arts():
    classifier, x = wrap(RowWise()), some_images(60)
    y = predicted(classifier, x)
    eps = 0.012
    options = {"eps": eps, "eps_step": eps / 4, "batch_size": 64, "verbose": False}
    peers = [
        ArtPGD(classifier, max_iter=40, num_random_init=2, **options),
        AutoProjectedGradientDescent(classifier, max_iter=20, nb_random_init=1, loss_type="cross_entropy", **options),
    ]
    found = StrongestAttack(classifier, eps=eps, seed=0, verbose=False).generate(x, y)
    ours = fooled(classifier, found, y).sum()
    assert 0 < ours < 60
    for peer in peers:
        assert ours >= fooled(classifier, peer.generate(x, y), y).sum()
    assert (distance(found, x, np.inf) <= eps).all()
    assert (margins(classifier, found, y) >= margins(classifier, x, y)).all()


def test_nothing_to_do_costs_nothing_and_changes_nothing():
    classifier, x = wrap(RowWise()), some_images(4)
    y = predicted(classifier, x)
    for kind in KINDS:
        assert np.array_equal(KINDS[kind](classifier, eps=0.0, seed=0, eot_samples=2).generate(x, y), x)
    for attack in (
        PGD(classifier, **SMALL | {"max_iter": 0}, loss="margin"),
        AutoPGD(classifier, max_iter=0, nb_random_init=0),
    ):
        assert np.array_equal(attack.generate(x, y), x)
