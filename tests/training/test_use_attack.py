"""use_attack(trainer, attack): our PGD in every adversarial trainer of ART, one epoch each."""

import pickle

import numpy as np
import pytest
import torch
from art.defences.preprocessor import Cutout
from art.defences.trainer import (
    AdversarialTrainer,
    AdversarialTrainerAWPPyTorch,
    AdversarialTrainerCertifiedIBPPyTorch,
    AdversarialTrainerCertifiedPytorch,
    AdversarialTrainerFBFPyTorch,
    AdversarialTrainerMadryPGD,
    AdversarialTrainerOAATPyTorch,
    AdversarialTrainerTRADESPyTorch,
    DPInstaHideTrainer,
)
from art.estimators.certification.deep_z import PytorchDeepZ
from art.estimators.certification.interval import PyTorchIBPClassifier
from torch import nn

from art_domainrand import PGD, DomainRandomization, use_attack
from art_domainrand.randomization import GaussianNoise

from support.estimators import CLASSES, SHAPE, cnn, make_classifier
from support.training import OAAT

EPS = 0.1
PARAMS = {"eps": 0.3, "eps_step": 0.1, "max_iter": 1, "batch_size": 5, "num_random_init": 1}


class Convolutional(nn.Module):
    """What ART's certifiers can convert: convolutions, ReLU, dense layers."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.dense = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(4 * 36, CLASSES)

    def forward(self, x):
        return self.dense(self.relu(self.conv(x)).flatten(1))


class CountingPGD(PGD):
    """Our PGD, which remembers the images it made."""

    def generate(self, x, y=None, **kwargs):
        adversarial = super().generate(x, y=y, **kwargs)
        vars(self).setdefault("made", []).append((x.copy(), adversarial))
        return adversarial


class Plain(nn.Module):
    """Of an ``nn.Sequential`` ART shows its trainers the outputs of all layers; TRADES and FBF read the first."""

    def __init__(self):
        super().__init__()
        self.net = cnn()

    def forward(self, x):
        return self.net(x)


def trainable(defences=None):
    model = Plain()
    return make_classifier(
        model, optimizer=torch.optim.SGD(model.parameters(), lr=0.01), preprocessing_defences=defences
    )


def certifier(kind, **options):
    torch.manual_seed(0)
    model = Convolutional()
    nn.init.ones_(model.conv.bias)  # so that no ReLU is dead
    return kind(
        model,
        nn.CrossEntropyLoss(),
        SHAPE,
        CLASSES,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.01),
        clip_values=(0, 1),
        device_type="cpu",
        **options,
    )


def fast(made):
    return AdversarialTrainerFBFPyTorch(made, eps=0.3)


def madry(made):
    return AdversarialTrainerMadryPGD(made, eps=0.3, eps_step=0.1, max_iter=1)


def trades(made):
    return AdversarialTrainerTRADESPyTorch(made, PGD(made, eps=0.3), beta=6.0)


def awp(made):
    return AdversarialTrainerAWPPyTorch(made, trainable(), PGD(made, eps=0.3), "TRADES", 0.005, 6.0, 0)


def oaat(made):
    return AdversarialTrainerOAATPyTorch(made, trainable(), trainable(), [], PGD(made, eps=0.3), dict(OAAT))


def standard(made):
    return AdversarialTrainer(made, PGD(made, eps=0.3), ratio=1.0)


def zonotope(made):
    return AdversarialTrainerCertifiedPytorch(made, bound=0.02, batch_size=2, pgd_params=dict(PARAMS))


def interval(made):
    options = {"loss_weighting": 0.1, "use_loss_weighting_schedule": False, "augment_with_pgd": True}
    return AdversarialTrainerCertifiedIBPPyTorch(made, bound=0.02, batch_size=5, pgd_params=dict(PARAMS), **options)


TRAINERS = {
    "standard": (trainable, standard, {}),
    "madry": (trainable, madry, {}),
    "trades": (trainable, trades, {}),
    "awp": (trainable, awp, {}),
    "oaat": (trainable, oaat, {}),
    "fast": (trainable, fast, {}),
    "zonotope": (lambda: certifier(PytorchDeepZ), zonotope, {}),
    "interval": (lambda: certifier(PyTorchIBPClassifier), interval, {"limits": [0.0, 1.0]}),
}


def one_hot(labels):
    return np.eye(CLASSES, dtype=np.float32)[labels]


def pgd(made, **options):
    return CountingPGD(made, eps=EPS, eps_step=0.05, max_iter=3, batch_size=8, verbose=False, **options)


@pytest.mark.parametrize("name", TRAINERS)
def test_one_epoch_against_our_pgd(name, images, labels):
    """Every batch is attacked by it within its eps, not the trainer's, and the weights move."""
    estimator, make, options = TRAINERS[name]
    made = estimator()
    attack = pgd(made)
    trainer = make(made)
    assert use_attack(trainer, attack) is trainer
    # ART's zonotopes must stay clear of 0 and 1: it assigns arrays to numbers there, which NumPy 2.4 refuses.
    x = 0.2 + 0.6 * images
    if "certif" in type(made).__module__:
        made.model.set_forward_mode("concrete")
    before = [p.detach().clone() for p in made.model.parameters()]
    extra = {"batch_size": 5} if name not in ("zonotope", "interval") else {"verbose": False}
    trainer.fit(x, one_hot(labels), nb_epochs=1, **extra, **options)
    assert len(attack.made) == 2
    for clean, adversarial in attack.made:
        assert EPS / 2 < np.abs(adversarial - clean).max() <= EPS + 1e-6
    assert any(not torch.equal(a, b) for a, b in zip(before, made.model.parameters(), strict=True))


@pytest.mark.parametrize("name", ["fast", "madry"])
def test_the_model_is_trained_on_the_attacks_images(name, images, labels):
    """Not on a perturbation of the trainer's own, nor on one put on top."""
    estimator, make, _ = TRAINERS[name]
    made = estimator()
    attack, seen = pgd(made), []
    trainer = use_attack(make(made), attack)
    # Parameters get a gradient in the training step alone, after the last forward pass.
    made.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().numpy().copy()))
    trainer.fit(images, one_hot(labels), batch_size=10, nb_epochs=1)
    ((_, adversarial),) = attack.made
    key = lambda batch: sorted(image.tobytes() for image in batch)  # noqa: E731 - the trainer shuffles
    assert key(seen[-1]) == key(adversarial)


def test_the_fast_trainer_takes_a_generator_and_keeps_its_eps(images, labels):
    from art.data_generators import NumpyDataGenerator

    made = trainable([DomainRandomization(GaussianNoise(0.1), seed=0)])
    attack = pgd(made)
    trainer = use_attack(fast(made), attack)
    trainer.fit_generator(NumpyDataGenerator(images, one_hot(labels), batch_size=5), nb_epochs=2)
    assert len(attack.made) == 4
    assert trainer._eps == 0.3


def test_one_step_pgd_is_the_fast_trainers_attack(images, labels):
    """Fast training's images are those of PGD with one step of 1.25 eps from a random start (Wong et al. 2020)."""
    made = trainable()
    seen = []
    made.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().numpy().copy()))
    x = 0.4 + 0.2 * images  # away from the range's ends: ART's start is not clipped
    np.random.seed(0)
    AdversarialTrainerFBFPyTorch(made, eps=EPS)._batch_process(x, one_hot(labels), 0.0)
    theirs = seen[-1]
    np.random.seed(0)
    attack = PGD(made, eps=EPS, eps_step=1.25 * EPS, max_iter=1, num_random_init=1, batch_size=10, verbose=False)
    assert np.allclose(attack.generate(x, labels), theirs, atol=1e-6)


def test_zonotopes_of_images_that_touch_the_range(images, labels):
    """Where ART's own conversion fails under NumPy 2.4, one of the user's trains."""

    def zonotope_within(sample, bound):
        low, high = (sample - bound).clip(0, 1), (sample + bound).clip(0, 1)
        return ((low + high) / 2)[None], np.diag(((high - low) / 2).ravel()).reshape(-1, *sample.shape)

    made = certifier(PytorchDeepZ, concrete_to_zonotope=zonotope_within)
    attack = pgd(made)
    use_attack(zonotope(made), attack).fit(images.round(), one_hot(labels), nb_epochs=1, verbose=False)
    assert len(attack.made) == 2


@pytest.mark.parametrize("name", TRAINERS)
def test_an_attack_may_be_replaced_again(name):
    estimator, make, _ = TRAINERS[name]
    made = estimator()
    first, second = pgd(made), pgd(made)
    trainer = use_attack(use_attack(make(made), first), second)
    assert isinstance(trainer, type(make(made)))
    if name in ("zonotope", "interval"):
        trainer.attack = first  # what ART's loop does at every batch
        assert trainer.attack is second


def test_a_certified_trainer_can_still_be_pickled():
    trainer = use_attack(zonotope(made := certifier(PytorchDeepZ)), pgd(made))
    assert type(trainer) is pickle.loads(pickle.dumps(type(trainer)))


def test_what_has_no_attack_is_refused():
    made = trainable()
    with pytest.raises(ValueError, match=r"trainer must be one of ART's adversarial trainers.*got DPInstaHideTrainer"):
        use_attack(DPInstaHideTrainer(made, Cutout(3)), pgd(made))
    with pytest.raises(ValueError, match="attack must be an EvasionAttack of ART, got Sequential"):
        use_attack(madry(made), cnn())
    with pytest.raises(ValueError, match="attack must be untargeted, got targeted=True"):
        use_attack(madry(made), pgd(made, targeted=True))
    bounds = certifier(PyTorchIBPClassifier)
    alone = AdversarialTrainerCertifiedIBPPyTorch(
        bounds, bound=0.02, loss_weighting=0.1, use_loss_weighting_schedule=False
    )
    with pytest.raises(ValueError, match="trainer must have augment_with_pgd=True"):
        use_attack(alone, pgd(bounds))
