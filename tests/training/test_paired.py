"""paired(trainer): the two views of a batch share their draw in TRADES, AWP and OAAT."""

import random

import numpy as np
import pytest
import torch
from art.attacks import EvasionAttack
from art.data_generators import NumpyDataGenerator
from art.defences.preprocessor import CutoutPyTorch, GaussianAugmentation
from art.defences.trainer import (
    AdversarialTrainer,
    AdversarialTrainerAWPPyTorch,
    AdversarialTrainerOAATPyTorch,
    AdversarialTrainerTRADESPyTorch,
)
from torch import nn

from art_domainrand import PGD, DifferentiableDefence, DomainRandomization, paired, randomized
from art_domainrand.randomization import Brightness, GaussianNoise, Rotation

from support.estimators import CLASSES, cnn, make_classifier
from support.training import OAAT

PIPELINE = [Rotation((-20, 20)), Brightness((-0.2, 0.2)), GaussianNoise(0.1)]


class Recording(nn.Module):
    """A classifier that remembers the batches it is trained on and what it answered."""

    def __init__(self):
        super().__init__()
        self.net = cnn()
        self.views = []

    def forward(self, x):
        scores = self.net(x)
        if self.training:
            self.views.append((x.detach().clone(), scores.detach().clone()))
        return scores


class Unchanged(EvasionAttack):
    """The attack that changes nothing, so that both views of a batch are copies of the same images."""

    attack_params = [*EvasionAttack.attack_params, "eps", "eps_step", "max_iter"]  # noqa: RUF012
    _estimator_requirements = ()

    def __init__(self, classifier):
        super().__init__(estimator=classifier)

    def generate(self, x, y=None, **kwargs):
        return x.copy()


def classifier(defences=(), model=None):
    model = Recording() if model is None else model
    made = make_classifier(
        model, preprocessing_defences=list(defences), optimizer=torch.optim.SGD(model.parameters(), lr=0.01)
    )
    for module in [module for module in made.model.modules() if isinstance(module, Recording)]:
        module.views.clear()
    return made


def recording(made):
    return next(module for module in made.model.modules() if isinstance(module, Recording))


def trades(made, proxy, attack):
    return AdversarialTrainerTRADESPyTorch(made, attack, beta=6.0)


def awp(made, proxy, attack):
    return AdversarialTrainerAWPPyTorch(made, proxy, attack, mode="TRADES", gamma=0.005, beta=6.0, warmup=0)


def oaat(made, proxy, attack):
    return AdversarialTrainerOAATPyTorch(made, proxy, proxy, [], attack, dict(OAAT))


TRAINERS = {"trades": trades, "awp": awp, "oaat": oaat}


def make(name, defences=(), attack=Unchanged, wrap=lambda model: model):
    made, proxy = classifier(defences, wrap(Recording())), classifier((), wrap(Recording()))
    return TRAINERS[name](made, proxy, attack(made)), made


def one_hot(labels):
    return np.eye(CLASSES, dtype=np.float32)[labels]


def pairs(made):
    """The two views of each batch that the classifier's own step was taken on."""
    views = recording(made).views
    return list(zip(views[::2], views[1::2], strict=True))


def divergence(clean, other):
    """KL between the class distributions of two views, in float64."""
    log_p, log_q = clean[1].double().log_softmax(1), other[1].double().log_softmax(1)
    return (log_p.exp() * (log_p - log_q)).sum().item()


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize("by", ["preprocessor", "module"])
def test_two_copies_of_an_image_have_no_divergence(name, by, images, labels):
    """Exactly zero inside, above zero outside; every batch of every epoch has draws of its own."""
    defences = [DomainRandomization(PIPELINE, seed=0)] if by == "preprocessor" else []
    wrap = (lambda model: randomized(model, PIPELINE, seed=0)) if by == "module" else (lambda model: model)
    trainer, made = make(name, defences, wrap=wrap)
    x, y = np.repeat(images[:1], 10, 0), one_hot(np.repeat(labels[:1], 10))
    trainer.fit(x, y, batch_size=5, nb_epochs=2)
    assert all(divergence(*pair) > 1e-3 for pair in pairs(made))
    recording(made).views.clear()
    with paired(trainer):
        trainer.fit(x, y, batch_size=5, nb_epochs=2)
    inside = pairs(made)
    assert len(inside) == 4
    for clean, other in inside:
        assert torch.equal(clean[0], other[0])
        assert divergence(clean, other) == 0.0
    assert len({image.numpy().tobytes() for (batch, _), _ in inside for image in batch}) == 20
    if name != "trades":  # the model whose weights are perturbed
        proxy = recording(trainer._proxy_classifier).views[-8:]
        assert all(torch.equal(clean[0], other[0]) for clean, other in zip(proxy[::2], proxy[1::2], strict=True))
    recording(made).views.clear()
    trainer.fit(x, y, batch_size=5, nb_epochs=1)
    assert all(divergence(*pair) > 1e-3 for pair in pairs(made))


@pytest.mark.parametrize("name", TRAINERS)
def test_the_divergence_that_art_computes_vanishes(name, images, labels, monkeypatch):
    seen, divergence = [], nn.KLDivLoss.forward

    def spy(self, *args):
        seen.append(divergence(self, *args).item())
        return divergence(self, *args)

    monkeypatch.setattr(nn.KLDivLoss, "forward", spy)
    trainer, _ = make(name, [DomainRandomization(PIPELINE, seed=0)])
    trainer.fit(images, one_hot(labels), batch_size=5, nb_epochs=1)
    assert min(seen) > 1e-3
    seen.clear()
    with paired(trainer):
        trainer.fit(images, one_hot(labels), batch_size=5, nb_epochs=1)
    assert len(seen) >= 2
    assert max(map(abs, seen)) < 1e-5  # ART takes the logarithm of a softmax, which rounds


@pytest.mark.parametrize("name", TRAINERS)
def test_generators_are_paired_too(name, images, labels):
    trainer, made = make(name, [DomainRandomization(PIPELINE, seed=0)])
    with paired(trainer):
        trainer.fit_generator(NumpyDataGenerator(images, one_hot(labels), batch_size=5), nb_epochs=2)
    assert len(pairs(made)) == 4
    assert all(torch.equal(clean[0], other[0]) for clean, other in pairs(made))
    assert not torch.equal(pairs(made)[0][0][0], pairs(made)[2][0][0])


def test_the_attack_draws_for_itself(images, labels):
    """A randomization that runs in prediction as well: PGD sees it, in other batches than the trainer's."""
    randomization = DomainRandomization(PIPELINE, seed=0, apply_predict=True)
    trainer, made = make(
        "trades",
        [randomization],
        attack=lambda c: PGD(c, eps=0.1, eps_step=0.05, max_iter=2, batch_size=3, eot_samples=2, verbose=False),
    )
    with paired(trainer):
        trainer.fit(images, one_hot(labels), batch_size=5, nb_epochs=1)
    for clean, other in pairs(made):
        distance = (clean[0] - other[0]).abs().flatten(1).amax(1)
        assert (distance > 0).all()
        assert distance.max() <= 0.1 + 1e-5  # what the draw makes of a perturbation of 0.1, and no difference of draws


def test_other_random_defences_are_paired(images, labels):
    """Those that draw from torch's and NumPy's global generators."""
    defences = [
        CutoutPyTorch(4, channels_first=True, device_type="cpu"),
        DomainRandomization(PIPELINE, seed=0),
        DifferentiableDefence(GaussianAugmentation(sigma=0.1, augmentation=False)),
    ]
    trainer, made = make("trades", defences)
    x, y = np.repeat(images[:1], 10, 0), one_hot(np.repeat(labels[:1], 10))
    with paired(trainer):
        trainer.fit(x, y, batch_size=5, nb_epochs=1)
    assert all(torch.equal(clean[0], other[0]) for clean, other in pairs(made))
    assert len({image.numpy().tobytes() for (batch, _), _ in pairs(made) for image in batch}) == 10


@pytest.mark.parametrize("name", TRAINERS)
def test_validation_images_are_preprocessed_once(name, images, labels, tmp_path):
    """ART standardises them twice; here validation sees what predict sees."""
    seen = []

    class Seeing(Recording):
        def forward(self, x):
            seen.append((self.training, x.detach().numpy().copy()))
            return super().forward(x)

    model = Seeing()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    made = make_classifier(model, optimizer=optimizer, preprocessing=(0.5, 0.25))
    trainer = TRAINERS[name](made, classifier(), Unchanged(made))
    if name == "oaat":
        trainer._train_params["models_path"] = str(tmp_path)
    held_out = (images[:3], one_hot(labels[:3]))
    validated = []
    for context in (None, paired(trainer)):
        seen.clear()
        if context is None:
            trainer.fit(images, one_hot(labels), validation_data=held_out, batch_size=5, nb_epochs=1)
        else:
            with context:
                trainer.fit(images, one_hot(labels), validation_data=held_out, batch_size=5, nb_epochs=1)
        validated.append([x for training, x in seen if not training and len(x) == 3])
    twice, once = validated
    standard = (images[:3] - np.float32(0.5)) / np.float32(0.25)
    assert np.array_equal(twice[0], (standard - np.float32(0.5)) / np.float32(0.25))
    assert all(np.array_equal(x, standard) for x in once)
    assert len(once) == len(twice)


def test_all_is_left_as_found(images, labels):
    randomization = DomainRandomization(PIPELINE, seed=0)
    trainer, made = make("awp", [randomization])
    before, held = (dict(vars(trainer)), dict(vars(made))), (randomization._holding, randomization._held)

    def check():
        assert dict(vars(trainer)) == before[0]
        assert vars(made).keys() == before[1].keys()
        assert (randomization._holding, randomization._held) == held

    with paired(trainer):
        trainer._batch_process(images, one_hot(labels))
        assert (randomization._holding, randomization._held) == held  # between batches nothing is held
    before[0].update(_apply_wp=trainer._apply_wp)
    check()
    with pytest.raises(ZeroDivisionError), paired(trainer):
        raise ZeroDivisionError
    check()

    def fails(x):
        raise ZeroDivisionError

    made.model.net.register_forward_pre_hook(lambda module, inputs: fails(inputs))
    with pytest.raises(ZeroDivisionError), paired(trainer):
        trainer._batch_process(images, one_hot(labels))
    check()


class Whole(nn.Module):
    """A model of which ART sees the scores alone."""

    def __init__(self):
        super().__init__()
        self.net = cnn()

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize("name", TRAINERS)
def test_a_sequential_trains_as_the_same_model_in_one_piece(name, images, labels, monkeypatch):
    """The divergence, the loss and the hits are those of the scores, not of what the first layer gives."""
    divergences, plain = [], nn.KLDivLoss.forward

    def spy(self, *args):
        divergences.append(plain(self, *args))
        return divergences[-1]

    monkeypatch.setattr(nn.KLDivLoss, "forward", spy)
    found = []
    for model in (cnn, Whole):
        made, proxy = classifier(model=model()), classifier(model=model())
        attack = PGD(made, eps=0.2, eps_step=0.1, max_iter=3, verbose=False, seed=0)
        trainer = TRAINERS[name](made, proxy, attack)
        epoch = (0, 1, 0) if name == "oaat" else ()
        divergences.clear()
        with paired(trainer):
            answers = [trainer._batch_process(*epoch, images, one_hot(labels)) for _ in range(3)]
        found.append((answers, torch.stack(divergences), torch.cat([p.flatten() for p in made.model.parameters()])))
        assert "forward" not in vars(made._model)
    assert found[0][0] == found[1][0]
    assert found[0][1].min() > 1e-3
    assert torch.equal(found[0][1], found[1][1])
    assert torch.equal(found[0][2], found[1][2])


def test_nothing_is_drawn_from_global_generators(images, labels):
    trainer, _ = make("trades", [DomainRandomization(PIPELINE, seed=0)])

    def state():
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()

    before = state()
    with paired(trainer):
        trainer._batch_process(images, one_hot(labels))
    assert state() == before


def test_blocks_nest(images, labels):
    trainer, made = make("trades", [DomainRandomization(PIPELINE, seed=0)])
    with paired(trainer), paired(trainer):
        trainer.fit(images, one_hot(labels), batch_size=5, nb_epochs=1)
    assert all(torch.equal(clean[0], other[0]) for clean, other in pairs(made))
    assert "_batch_process" not in vars(trainer)


def test_other_trainers_are_refused():
    made = classifier()
    words = r"trainer must be one that compares two views .*got AdversarialTrainer$"
    with pytest.raises(ValueError, match=words), paired(AdversarialTrainer(made, Unchanged(made))):
        pass
