"""Randomness is noticed through whatever stands around a model; then successes are confirmed and gradients means."""

from functools import cache

import numpy as np
import pytest
import torch
from art.defences.postprocessor import GaussianNoise, Postprocessor, Rounded
from art.defences.preprocessor import FeatureSqueezing, GaussianAugmentation
from art.estimators.classification import EnsembleClassifier
from torch import nn

from art_domainrand import FGSM, PGD, AutoPGD, StrongestAttack, diagnose
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.evaluator import Evaluator, Expectation
from art_domainrand.attacks.engine.randomness import is_random, near_boundary
from art_domainrand.estimators import open_estimator, predict

from support.attacks import RowWise, called_fooled, fooled, some_images
from support.estimators import CLASSES, wrap


class Noisy(nn.Module):
    """Adds noise from torch's global generator to what it is shown; so much that predictions often differ."""

    def __init__(self, noise=0.3):
        super().__init__()
        self.inner, self.noise = RowWise(), noise

    def forward(self, x):
        return self.inner(x + self.noise * torch.randn_like(x))


class OneHot(Postprocessor):
    """Nothing but the class is shown. (ART's own ClassLabels marks in every row the classes of all rows.)"""

    def __init__(self):
        super().__init__(is_fitted=True, apply_fit=False, apply_predict=True)

    def __call__(self, preds):
        return np.eye(preds.shape[1], dtype=preds.dtype)[preds.argmax(1)]


def ensemble(*members, **kwargs):
    return EnsembleClassifier(list(members), channels_first=True, clip_values=(0, 1), **kwargs)


def squeezed(model, **kwargs):
    return wrap(model, preprocessing_defences=FeatureSqueezing((0, 1), bit_depth=8), **kwargs)


AROUND = {
    "nothing": wrap,
    "a postprocessor": lambda model: wrap(model, postprocessing_defences=Rounded(decimals=2)),
    "a NumPy defence": squeezed,
    "an ensemble": lambda model: ensemble(wrap(model), wrap(RowWise(seed=3))),
    "an ensemble of two": lambda model: ensemble(wrap(model), wrap(model)),
    "labels alone": lambda model: wrap(model, postprocessing_defences=OneHot()),
    "labels behind a NumPy defence": lambda model: squeezed(model, postprocessing_defences=OneHot()),
    "labels of an ensemble": lambda model: ensemble(wrap(model), wrap(model), postprocessing_defences=OneHot()),
}


@pytest.mark.parametrize("n", [3, 40])
@pytest.mark.parametrize("around", AROUND)
def test_a_noisy_model_is_noticed(around, n):
    for model, truth in ((Noisy(), True), (RowWise(), False)):
        torch.manual_seed(0)
        with open_estimator(AROUND[around](model)) as source:
            assert is_random(source, torch.from_numpy(some_images(n, seed=2))) == truth


@pytest.mark.parametrize("around", [name for name in AROUND if "labels" in name])
def test_a_little_noise_shows_near_the_boundary(around):
    """It changes no label of an image, and so none in the first look; near a boundary it does."""
    x = torch.from_numpy(some_images(80))
    scores = RowWise()(x).topk(2, 1).values
    x = x[scores[:, 0] - scores[:, 1] > 0.2]
    for noise, truth in ((0.005, True), (0.0, False)):
        estimator = AROUND[around](Noisy(noise))
        looks = [predict(estimator, x.numpy()).argmax(1) for _ in range(5)]
        assert all(np.array_equal(looks[0], look) for look in looks)
        with open_estimator(estimator) as source:
            assert is_random(source, x) == truth


def test_noise_only_where_the_model_is_in_doubt():
    class Doubting(Noisy):
        def forward(self, x):
            scores = self.inner(x)
            top = scores.topk(2, 1).values
            return scores + ((top[:, 0] - top[:, 1]) < 0.02).float().unsqueeze(1) * torch.randn_like(scores)

    x = torch.from_numpy(some_images(40))
    model = Doubting()
    scores = model.inner(x).topk(2, 1).values
    x = x[scores[:, 0] - scores[:, 1] > 0.1]
    with open_estimator(wrap(model)) as source:
        assert is_random(source, x)


def test_points_near_the_boundary_are():
    x, model = torch.from_numpy(some_images(40)), RowWise()
    for scores_of in (model, lambda x: torch.eye(CLASSES)[model(x).argmax(1)]):
        found = near_boundary(scores_of, x, scores_of(x))
        assert len(found) == 16
        top = [model(images).topk(2, 1).values for images in (found, x)]
        gaps = [(t[:, 0] - t[:, 1]).median() for t in top]
        assert gaps[0] < gaps[1] / 10
    assert len(near_boundary(model, x[:1], model(x[:1]))) == 0


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_probe_heeds_batch_size(around, batch_size):
    model, sizes = RowWise(), []
    estimator = AROUND[around](model)
    model.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    with open_estimator(estimator) as source:
        is_random(source, torch.from_numpy(some_images(10)), batch_size)
    assert max(sizes) == batch_size


KINDS = ["early_stop", "keep_best", "plain restarts", "minimal", "AutoPGD"]
CASES = [(around, kind) for around in AROUND if around != "nothing" for kind in KINDS]


@cache
def seen_often(around):
    """What a noisy model says on average of 30 images (30,), and how often it says another class (30,)."""
    estimator, x = AROUND[around](Noisy()), some_images(30)
    torch.manual_seed(0)
    shown = np.stack([predict(estimator, x) for _ in range(60)])
    y = shown.mean(0).argmax(1)
    return y, (shown.argmax(2) != y).mean(0)


@pytest.mark.parametrize(("around", "kind"), [*CASES, ("a postprocessor", "strongest")])
def test_luck_is_no_success(around, kind):
    """No perturbation of 1e-6 changes what the model says on average; with class labels the gradients remain."""
    estimator, x = AROUND[around](Noisy()), some_images(30)
    y, often = seen_often(around)
    torch.manual_seed(0)
    options = {"eps": 1e-6, "verbose": False, "seed": 0, "batch_size": 64}
    pgd = {"eps_step": 1e-6, "max_iter": 10} | options
    attack = {
        "early_stop": lambda: PGD(estimator, early_stop=True, loss="margin", **pgd),
        "keep_best": lambda: PGD(estimator, keep_best=True, eot_samples=4, **pgd),
        "plain restarts": lambda: PGD(estimator, num_random_init=3, **pgd),
        "minimal": lambda: FGSM(estimator, eps_step=1e-7, minimal=True, **options),
        "AutoPGD": lambda: AutoPGD(estimator, max_iter=10, nb_random_init=1, **options),
        "strongest": lambda: StrongestAttack(estimator, budget="quick", eot_samples=4, **options),
    }[kind]()
    found = called_fooled(attack, x, y)
    assert 0.1 < often.mean() < 0.6, "predictions often differ"
    # Ten draws agree by chance with probability p ** 10: at p = 0.6, at most, in one look of 165.
    assert not found[often < 0.5].any() or found[often < 0.5].mean() < 0.1
    assert found.mean() < often.mean() / 2


@pytest.mark.parametrize("around", ["a postprocessor", "a NumPy defence", "an ensemble of two"])
@pytest.mark.parametrize("loss", [None, "margin"])
def test_the_gradient_is_a_mean_over_the_models_draws(around, loss):
    """Over 400 draws it is that of the expectation, taken here from the model itself over 4000."""
    x, y, model = some_images(3), np.array([0, 1, 2]), Noisy(0.2)
    estimator = AROUND[around](model)
    torch.manual_seed(0)
    with open_estimator(estimator) as source:
        labels = torch.eye(CLASSES)[torch.from_numpy(y)]

        def mean_over(samples):
            evaluator = Evaluator(
                source, Criterion(labels, 1, loss), Expectation(samples), torch.arange(3), random=True
            )
            return evaluator.evaluate(torch.from_numpy(x), torch.arange(3)).gradient.flatten(1)

        one, many = mean_over(1), mean_over(400)
    seen = torch.from_numpy(x).repeat_interleave(4000, 0).requires_grad_()
    scores, wide = model(seen), torch.from_numpy(y).repeat_interleave(4000)
    values = torch.nn.functional.cross_entropy(scores, wide, reduction="none")
    if loss == "margin":
        own = scores.gather(1, wide.unsqueeze(1)).squeeze(1)
        values = scores.scatter(1, wide.unsqueeze(1), -torch.inf).amax(1) - own
    truth = torch.autograd.grad(values.sum(), seen)[0].view(3, 4000, -1).mean(1)
    assert torch.cosine_similarity(many, truth).min() > 0.98
    assert torch.cosine_similarity(one, truth).min() < 0.98


def test_averages_break_more():
    """Against noise in the loss a mean over draws is the stronger attack; success counts over many predictions."""
    x, model = some_images(30), Noisy(0.4)
    estimator = AROUND["a postprocessor"](model)
    torch.manual_seed(0)
    y = np.mean([predict(estimator, x) for _ in range(60)], 0).argmax(1)

    def left(samples):
        attack = PGD(estimator, eps=0.06, eps_step=0.015, max_iter=8, eot_samples=samples, verbose=False, seed=0)
        adv = attack.generate(x, y)
        return 1 - np.mean([fooled(estimator, adv, y).mean() for _ in range(40)])

    assert left(16) < left(1)


@pytest.mark.parametrize("around", AROUND)
def test_diagnose_says_so(around):
    x = some_images(30)
    for noise, truth in ((0.3, True), (0.005, "labels" in around)):
        estimator = AROUND[around](Noisy(noise))
        y = predict(estimator, x).argmax(1)
        names = {f.name for f in diagnose(estimator, x, y, eps=0.05, max_iter=2).findings}
        assert "random_predictions" in names or not truth
    assert "random_predictions" not in {
        f.name for f in diagnose(AROUND[around](RowWise()), x, y, eps=0.05, max_iter=2).findings
    }


def test_a_random_postprocessor_and_a_random_numpy_defence():
    """Their noise is NumPy's, and comes after the model or before."""
    x = torch.from_numpy(some_images(10))
    noise = GaussianAugmentation(sigma=0.1, augmentation=False, apply_fit=False, apply_predict=True)
    for estimator in (
        wrap(RowWise(), postprocessing_defences=GaussianNoise(scale=0.1)),
        wrap(RowWise(), preprocessing_defences=noise),
    ):
        with open_estimator(estimator) as source:
            assert is_random(source, x)


def test_generators_are_hidden_only_where_the_model_draws_nothing():
    x = some_images(4)
    for build in AROUND.values():
        for model, moves in ((RowWise(), False), (Noisy(), True)):
            before = torch.get_rng_state()
            predict(build(model), x)
            assert torch.equal(torch.get_rng_state(), before) != moves
