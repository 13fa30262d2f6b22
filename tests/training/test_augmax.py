"""AugMax: the worst mixture of chains, found by climbing in share and weights, and trained against."""

import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional

from art_domainrand import DomainAdversarialTrainer, DomainAttack, worst_of
from art_domainrand.attacks.engine.draw_stage import sloped
from art_domainrand.preprocessors import DomainRandomization
from art_domainrand.randomization import Brightness, Contrast, Invert, MixedChains, OneOf, Pipeline, RandomDepth, preset
from art_domainrand.training import AdversarialRanges
from art_domainrand.training.data.epochs import SampleKeys, Samples
from art_domainrand.training.trainer.adversary import training_attack
from art_domainrand.training.trainer.objectives import OBJECTIVES, Views
from art_domainrand.training.trainer.run import TrainingRun
from art_domainrand.training.trainer.views import ViewMaker

from support.estimators import cnn
from support.trainer import assert_same, corners, trainable, weights

MIXED = Pipeline(
    MixedChains(RandomDepth(OneOf([Contrast((0.3, 1.0), pivot=0.0), Brightness((-0.3, 0.3)), Invert((0.0, 0.6))])))
)


def trainer(classifier, **options):
    attack = DomainAttack(classifier, MIXED, evaluations=8, verbose=False)
    options = {"objective": "augmax", "randomization": MIXED, "verbose": False, "seed": 3} | options
    return DomainAdversarialTrainer(classifier, attack, **options)


def test_share_and_weights_are_climbed_whatever_the_operations_are():
    pipeline = preset("augmix")
    slopes = dict(zip(pipeline.parameters, sloped(DomainRandomization(pipeline), (3, 16, 16)).tolist(), strict=True))
    assert all(slopes[f"0.{name}"] for name in ("share", "stick_0", "stick_1"))
    assert not any(slope for name, slope in slopes.items() if name.endswith(("depth", "selector", "bits", "threshold")))


def test_ascent_finds_a_mixture_that_is_worse_than_as_many_random_ones():
    classifier = trainable(cnn(channels=3, size=16), input_shape=(3, 16, 16))
    coarse = torch.rand(8, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    x = functional.interpolate(coarse, (16, 16), mode="bilinear").numpy()
    y = classifier.predict(x).argmax(1)
    drawn = worst_of(classifier, x, y, preset("augmix"), 30, seed=0)
    found = DomainAttack(classifier, preset("augmix"), evaluations=30, seed=0, verbose=False).find(x, y)
    assert found.margins.mean() > drawn.margins.mean()
    assert (found.margins > drawn.margins).sum() > 4


def test_the_adversarial_view_is_the_worst_draw_for_the_clean_image_and_has_the_largest_loss():
    classifier = trainable()
    x, y = corners(40)
    run = trainer(classifier)
    views = ViewMaker(classifier, training_attack(run.attack, run.options), MIXED, run.options, run._run(1, 1).ranges)
    views.begin_epoch(0, 5)

    def of(rows):
        images, labels = torch.from_numpy(x), torch.from_numpy(y)
        samples = Samples(SampleKeys.counted(0, 40), torch.arange(40)[rows], images[rows], labels[rows])
        return views.make(samples, 1, 1.0)

    made = of(slice(0, 40))

    def loss(images):
        with torch.no_grad():
            return float(functional.cross_entropy(classifier.model(images), made.y))

    assert loss(made.adversarial) > loss(made.randomized)
    assert loss(made.adversarial) > loss(made.clean)
    torch.testing.assert_close(of(slice(8, 20)).adversarial, made.adversarial[8:20], atol=1e-5, rtol=0)


def test_augmax_is_the_clean_loss_and_ten_times_the_divergence_of_image_draw_and_worst_draw():
    clean, drawn, worst = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(0)).double()
    y = torch.arange(9) % 4
    parts = [scores.softmax(1) for scores in (clean, drawn, worst)]
    middle = sum(parts) / 3
    apart = sum((p * (p / middle).log()).sum(1).mean() for p in parts) / 3
    objective = OBJECTIVES["augmax"]
    value, scores = objective.loss(
        lambda *views: torch.cat(views), Views(clean, drawn, None, worst, y), functional.cross_entropy, objective.weight
    )
    torch.testing.assert_close(value, functional.cross_entropy(clean, y) + 10 * apart)
    assert torch.equal(scores, drawn)


def test_training_repeats_and_validates_under_the_attack_on_the_domain():
    x, y = corners(16)
    runs = []
    for _ in range(2):
        classifier = trainable()
        run = trainer(classifier)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            run.fit(x, y, batch_size=8, nb_epochs=1, validation_data=(x, y))
        runs.append((weights(classifier), run.history))
    assert_same(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    assert runs[0][1][-1].keys() >= {"clean", "robust", "shift"}
    assert "fast" not in runs[0][1][-1]
    assert run.attack.fraction == 1.0
    assert isinstance(run.attack.generate(x[:4], y[:4]), np.ndarray)


def test_a_curriculum_of_eps_is_one_of_the_fraction_of_the_ranges():
    run = trainer(trainable(), eps_epochs=3)
    own = training_attack(run.attack, run.options)
    views = ViewMaker(run._classifier, own, MIXED, run.options, run._run(1, 4).ranges)
    assert [views.begin_epoch(epoch, 0) for epoch in range(4)] == [0.25, 0.5, 0.75, 1.0]
    views.begin_epoch(1, 0)
    assert own.fraction == 0.5
    assert run.attack.fraction == 1.0


def test_ranges_that_learn_beside_it_are_shown_no_perturbation(monkeypatch):
    x, y = corners(8)
    run, seen = trainer(trainable(), ranges=AdversarialRanges(every=1)), []
    shown = TrainingRun.learned_batch
    monkeypatch.setattr(TrainingRun, "learned_batch", lambda *given: seen.append(shown(*given)) or seen[-1])
    run.fit(x, y, batch_size=8, nb_epochs=1)
    assert len(seen) == 1
    assert float(seen[0].perturbation.abs().max()) == 0


@pytest.mark.parametrize("objective", ["fast", "free"])
def test_what_steps_in_pixels_has_no_domain_to_attack(objective):
    with pytest.raises(ValueError, match=f"attack must be one on pixels with objective='{objective}'"):
        trainer(trainable(), objective=objective)


def test_perturb_is_generate_for_tensors():
    classifier = trainable()
    x, y = corners(6)
    attack = DomainAttack(classifier, MIXED, evaluations=10, seed=1, verbose=False)
    images = attack.perturb(torch.from_numpy(x), torch.from_numpy(y))
    np.testing.assert_array_equal(images.numpy(), attack.generate(x, y))
    with pytest.raises(TypeError, match=r"x must be a torch\.Tensor, got ndarray"):
        attack.perturb(x, y)
