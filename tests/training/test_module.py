"""randomized(model, pipeline): random in training, the model itself in evaluation, at home in ART and torch."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from art.data_generators import PyTorchDataGenerator
from art.defences.trainer import AdversarialTrainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from art_domainrand import PGD, DomainRandomization, randomized
from art_domainrand.randomization import Brightness, Flip, GaussianNoise, Pipeline, Rotation

from support.estimators import CLASSES, SHAPE, cnn, make_classifier


class Watching(nn.Module):
    """A classifier that remembers what it was shown, and in which mode."""

    def __init__(self):
        super().__init__()
        self.net = cnn()
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, x.detach().clone()))
        return self.net(x)

    def shown(self, training):
        return [x for mode, x in self.seen if mode == training]


def one_hot(labels):
    return np.eye(CLASSES, dtype=np.float32)[labels]


def trainable(module):
    return make_classifier(module, optimizer=torch.optim.SGD(module.parameters(), lr=0.01))


def test_evaluation_is_the_model_itself(images):
    model, x = cnn(), torch.from_numpy(images)
    module = randomized(model, Brightness((0.1, 0.3))).eval()
    assert torch.equal(module(x), model(x))
    assert not torch.equal(module.train()(x), model(x))
    assert module.model is model


def test_training_is_domain_randomization_with_fresh_draws(images):
    module, x = randomized(nn.Identity(), [Rotation(), GaussianNoise(0.1)], seed=5), torch.from_numpy(images)
    same = DomainRandomization([Rotation(), GaussianNoise(0.1)], seed=5)
    first, second = module(x), module(x)
    assert torch.equal(first, same.forward(x)[0])
    assert torch.equal(second, same.forward(x)[0])
    assert not torch.equal(first, second)


def test_layout_and_range_are_the_randomizations(images):
    x = torch.from_numpy(images * 255).permute(0, 2, 3, 1)
    module = randomized(nn.Identity(), Flip(1.0), clip_values=(0, 255), channels_first=False)
    assert torch.allclose(module(x), x.flip(2), atol=1e-3)
    with pytest.raises(ValueError, match=r"x must lie within clip_values \[0, 1\]"):
        randomized(nn.Identity(), Rotation())(255 * torch.from_numpy(images))
    with pytest.raises(ValueError, match=r"model must be a torch.nn.Module, got function"):
        randomized(lambda x: x, Rotation())


def test_gradients_flow_to_images_and_weights(images):
    model, x = cnn(), torch.from_numpy(images).requires_grad_()
    module = randomized(model, Brightness(), seed=0, clip=None)
    module(x).sum().backward()
    got, weights = x.grad.clone(), model[0].weight.grad.clone()
    draw = DomainRandomization(Brightness(), seed=0, clip=None).sample(10)
    x.grad = model[0].weight.grad = None
    model(Pipeline(Brightness()).apply(x, draw)).sum().backward()
    assert torch.allclose(got, x.grad)
    assert torch.allclose(weights, model[0].weight.grad)
    assert got.abs().max() > 0


def test_the_state_is_the_models_under_its_name():
    model = cnn()
    module = randomized(model, Rotation())
    assert list(module.state_dict()) == [f"model.{name}" for name in model.state_dict()]
    fresh = cnn()
    fresh.load_state_dict(module.model.state_dict())
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    other = randomized(cnn(), Rotation())
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other.model[0].weight, model[0].weight)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_share_weights_values_but_no_draws(copied, images):
    module, x = randomized(cnn(), GaussianNoise(0.2), seed=0), torch.from_numpy(images)
    other = copied(module)
    assert other.training
    assert torch.equal(other.eval()(x), module.eval()(x))
    assert not torch.equal(other.train()(x), module.train()(x))


def test_training_mode_is_inherited():
    assert not randomized(cnn().eval(), Rotation()).training
    assert randomized(cnn().train(), Rotation()).training


def test_further_arguments_and_outputs_pass(images):
    class Scaled(nn.Module):
        def forward(self, x, by, *, plus=0):
            return {"logits": x * by + plus}

    x = torch.from_numpy(images)
    assert torch.equal(randomized(Scaled(), Rotation()).eval()(x, 2, plus=1)["logits"], x * 2 + 1)


def test_arts_fit_draws_for_each_batch_and_epoch(images, labels):
    """ART preprocesses once per call of fit; this draws at every forward pass."""
    model = Watching()
    classifier = trainable(randomized(model, GaussianNoise(0.1)))
    model.seen.clear()
    classifier.fit(np.repeat(images[:1], 10, 0), np.repeat(labels[:1], 10), batch_size=5, nb_epochs=2)
    batches = model.shown(training=True)
    assert len(batches) == 4
    assert len({x.numpy().tobytes() for batch in batches for x in batch}) == 20


def test_arts_generators_which_skip_preprocessors_are_randomized(images, labels):
    """PyTorchClassifier.fit_generator never calls a preprocessing defence."""
    data = TensorDataset(torch.from_numpy(images), torch.from_numpy(one_hot(labels)))
    generator = PyTorchDataGenerator(DataLoader(data, batch_size=5), size=10, batch_size=5)
    model = Watching()
    classifier = trainable(randomized(model, GaussianNoise(0.1)))
    model.seen.clear()
    classifier.fit_generator(generator, nb_epochs=2)
    first, _, again, _ = model.shown(training=True)
    assert not torch.equal(first, torch.from_numpy(images[:5]))
    assert not torch.equal(first, again)
    assert classifier.predict(images).shape == (10, CLASSES)
    assert torch.equal(model.shown(training=False)[-1], torch.from_numpy(images))


def test_attacks_see_the_bare_model(images, labels):
    model = cnn()
    module = randomized(model, Brightness())
    classifier = make_classifier(module)
    bare = make_classifier(copy.deepcopy(model))
    bare.model.load_state_dict(module.model.state_dict())
    options = {"eps": 0.1, "eps_step": 0.05, "max_iter": 3, "verbose": False}
    module.train()
    adversarial = PGD(classifier, **options).generate(images, labels)
    assert module.training
    assert np.array_equal(adversarial, PGD(bare, **options).generate(images, labels))


def test_adversarial_training_of_art_is_randomized(images, labels):
    model = Watching()
    classifier = trainable(randomized(model, GaussianNoise(0.1)))
    attack = PGD(classifier, eps=0.1, eps_step=0.05, max_iter=2, batch_size=8, verbose=False)
    model.seen.clear()
    AdversarialTrainer(classifier, attack).fit(images, labels, batch_size=5, nb_epochs=1)
    assert len(model.shown(training=True)) == 2
    assert all(x.shape == (5, *SHAPE) for x in model.shown(training=True))
