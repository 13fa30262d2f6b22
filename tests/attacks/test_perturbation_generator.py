"""AdvGAN: a perturbation in one pass of a network, inside the ball, that fools whoever it was trained against."""

import copy
import warnings
from unittest import mock

import numpy as np
import pytest
import torch
from art.defences.preprocessor import JpegCompression
from art.defences.trainer import AdversarialTrainer
from art.estimators.classification import EnsembleClassifier, PyTorchClassifier
from torch import nn

from art_domainrand import DomainAdversarialTrainer, DomainRandomization, PerturbationGenerator
from art_domainrand.attacks.generative.perturbed import bounded_margin, other_classes
from art_domainrand.evaluation import evaluate
from art_domainrand.evaluation.conditions import Attacked
from art_domainrand.generative.record import FitRecord, sign_of_victory, similarity
from art_domainrand.randomization import Brightness, Contrast

from support.attacks import Linear, distance, fooled, margins, some_images
from support.estimators import CLASSES, make_classifier, wrap

X = some_images(70)
QUICK = {"width": 8, "epochs": 12, "batch_size": 35, "learning_rate": 5e-3, "seed": 0}


def linear(classes=2, **kwargs):
    return wrap(Linear(classes=classes, scale=4.0), nb_classes=classes, **kwargs)


def fitted(classifier, x=X, y=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a linear model one perturbation does for all images
        return PerturbationGenerator(classifier, **(QUICK | {"eps": 0.1} | options)).fit(x, y)


@pytest.fixture(scope="module")
def attack():
    return fitted(make_classifier())


@pytest.mark.parametrize(("norm", "eps"), [(np.inf, 0.1), (2, 0.8), (1, 3.0)])
def test_on_a_linear_model_it_nears_the_optimum(norm, eps):
    """The best of a ball without a box raises the margin by eps times the dual norm of the difference of rows."""
    classifier = linear()
    y = classifier.predict(X).argmax(1)
    adv = fitted(classifier, y=y, norm=norm, eps=eps, confidence=1e3, epochs=24).generate(X)
    rows = classifier.model.weight.detach()
    dual = {np.inf: 1, 2: 2, 1: np.inf}[norm]
    best = eps * float(torch.linalg.vector_norm(rows[1] - rows[0], ord=dual))
    gain = margins(classifier, adv, y) - margins(classifier, X, y)
    assert (distance(adv, X, norm) <= eps).all()
    assert 0 <= adv.min() <= adv.max() <= 1
    assert best * {np.inf: 0.88, 2: 0.85, 1: 0.6}[norm] < gain.mean() <= best * (1 + 1e-4)


def test_an_attack_is_one_pass_of_the_network_and_none_of_the_model(attack):
    calls = []
    handles = [
        attack.network.register_forward_hook(lambda *_: calls.append("network")),
        attack.estimator.model.register_forward_hook(lambda *_: calls.append("model")),
    ]
    attack.generate(X[:20])
    attack.generate(X)
    for handle in handles:
        handle.remove()
    assert calls == ["network"] + 2 * ["network"]  # of at most 35 images each


def test_images_it_has_not_seen_are_fooled(attack):
    unseen = some_images(60, seed=5)
    y = attack.estimator.predict(unseen).argmax(1)
    noise = np.random.default_rng(0).choice([-0.1, 0.1], unseen.shape).astype(np.float32)
    lost = margins(attack.estimator, attack.generate(unseen), y) - margins(attack.estimator, unseen, y)
    luck = margins(attack.estimator, unseen + noise, y) - margins(attack.estimator, unseen, y)
    assert lost.mean() > 3 * np.abs(luck).mean()


def test_a_batch_of_another_size_changes_no_image(attack):
    whole = attack.generate(X)
    with mock.patch.object(attack, "batch_size", 9):
        np.testing.assert_allclose(attack.generate(X), whole, atol=1e-6)
    np.testing.assert_array_equal(attack.perturb(torch.from_numpy(X)).numpy(), whole)


def test_the_seed_decides_and_nothing_else_moves():
    classifier = make_classifier()
    before = {name: value.clone() for name, value in classifier.model.state_dict().items()}
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    one = fitted(classifier, epochs=2).generate(X)
    assert torch.equal(state, torch.get_rng_state())
    assert (np.random.get_state()[1] == numpy_state).all()
    assert all(torch.equal(before[name], value) for name, value in classifier.model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in classifier.model.parameters())
    torch.manual_seed(5)
    np.testing.assert_array_equal(fitted(classifier, epochs=2).generate(X), one)
    assert np.abs(fitted(classifier, epochs=2, seed=1).generate(X) - one).max() > 1e-3


def test_a_saved_generator_makes_the_same_bits(attack, tmp_path):
    attack.save(tmp_path / "generator.pt")
    again = PerturbationGenerator.load(tmp_path / "generator.pt", attack.estimator)
    assert (again.eps, again.norm, again.targeted) == (attack.eps, attack.norm, attack.targeted)
    np.testing.assert_array_equal(again.generate(X), attack.generate(X))


def test_other_files_are_refused(attack, tmp_path):
    torch.save({"kind": "another"}, tmp_path / "other.pt")
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    for name in ("other.pt", "broken.pt"):
        with pytest.raises(ValueError, match=f"path must be a file of PerturbationGenerator.*{name}"):
            PerturbationGenerator.load(tmp_path / name, attack.estimator)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04K\x00."])
def test_bytes_of_anything_else_are_refused(attack, tmp_path, content):
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(ValueError, match="path must be a file of PerturbationGenerator"):
        PerturbationGenerator.load(tmp_path / "file.pt", attack.estimator)


@pytest.mark.parametrize("lost", ["shape", "options", "weights"])
def test_a_file_that_lacks_a_part_is_refused(attack, tmp_path, lost):
    attack.save(tmp_path / "whole.pt")
    state = torch.load(tmp_path / "whole.pt", weights_only=True)
    del state[lost]
    torch.save(state, tmp_path / "part.pt")
    with pytest.raises(ValueError, match=r"path must be a whole file of PerturbationGenerator, got '.*part.pt'"):
        PerturbationGenerator.load(tmp_path / "part.pt", attack.estimator)


def test_channels_must_come_first():
    shape = (8, 8, 1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
    loss = nn.CrossEntropyLoss()
    classifier = PyTorchClassifier(model, loss, shape, CLASSES, channels_first=False, device_type="cpu")
    with pytest.raises(ValueError, match=r"estimator must take images \(N, C, H, W\), got channels_first=False"):
        PerturbationGenerator(classifier)


def test_targets_are_reached_by_one_generator():
    classifier = linear(CLASSES)
    attack = fitted(classifier, targeted=True, eps=0.3, epochs=20, confidence=20.0, width=16)
    for target in range(CLASSES):
        reached = classifier.predict(attack.generate(X, np.full(len(X), target))).argmax(1) == target
        assert reached.mean() > 0.9 > (classifier.predict(X).argmax(1) == target).mean()
    with pytest.raises(ValueError, match="y must be given for a targeted attack"):
        attack.generate(X)
    attack.set_params(targeted=False)
    with pytest.raises(ValueError, match="targeted must be True"):
        attack.generate(X)


def test_targets_are_all_other_classes_in_turn():
    labels = torch.nn.functional.one_hot(torch.arange(200) % CLASSES, CLASSES).float()
    rows = torch.arange(200)
    found = torch.stack([other_classes(labels, 3, rows, epoch) for epoch in range(30)])
    assert not (found * labels).any()
    shares = (found.sum((0, 1)) / found.sum()).numpy()
    np.testing.assert_allclose(shares, 1 / CLASSES, atol=0.02)
    assert torch.equal(other_classes(labels[7:9], 3, rows[7:9], 4), found[4, 7:9])


def test_the_margin_is_climbed_up_to_the_confidence():
    scores = torch.tensor([[0.0, 3.0], [0.0, 0.5], [2.0, 0.0]], requires_grad=True)
    labels = torch.zeros(3, dtype=torch.long)
    loss = bounded_margin(1.0, 1)(scores, labels)
    assert loss.tolist() == [1.0, 0.5, -2.0]
    loss.sum().backward()
    assert scores.grad[0].tolist() == [0, 0]
    assert scores.grad[1:].abs().sum() == 4
    assert bounded_margin(1.0, -1)(scores.detach(), labels).tolist() == [3.0, 0.5, -1.0]


def test_the_gradient_comes_through_preprocessing():
    """Behind an inverted contrast what helps is the opposite: only the gradient of the whole knows it."""
    plain, turned = linear(), linear(preprocessing=(1.0, -1.0))  # the model sees 1 - x
    up, down = (
        fitted(one, y=np.zeros(len(X), int), epochs=20, confidence=1e3).generate(X) - X for one in (plain, turned)
    )
    assert (np.sign(up) == -np.sign(down)).mean() > 0.9
    random = make_classifier(preprocessing_defences=DomainRandomization([Contrast((0.8, 1.2))], seed=0))
    assert 0 < np.abs(fitted(random, epochs=1).generate(X) - X).max() <= 0.1
    viewed = fitted(make_classifier(), epochs=1, eot_samples=2, randomization=[Brightness((-0.1, 0.1))])
    assert 0 < np.abs(viewed.generate(X) - X).max() <= 0.1


def test_a_numpy_defence_and_an_ensemble_are_climbed_too():
    jpeg = JpegCompression(clip_values=(0, 1), quality=90, channels_first=True)
    several = [make_classifier(), make_classifier()]
    for classifier in (
        make_classifier(preprocessing_defences=jpeg),
        EnsembleClassifier(several, clip_values=(0, 1), channels_first=True),
    ):
        y = classifier.predict(X).argmax(1)
        adv = fitted(classifier, y=y, epochs=3).generate(X)
        assert np.abs(adv - X).max() <= 0.1
        assert (margins(classifier, adv, y) > margins(classifier, X, y)).mean() > 0.9


def test_pixels_under_a_mask_stay(attack):
    mask = np.zeros((1, 1, 8, 8), np.float32)
    mask[..., 2:5] = 1
    moved = attack.generate(X, mask=mask) - X
    assert not moved[..., :2].any()
    assert not moved[..., 5:].any()
    assert moved[..., 2:5].any()


def test_trainers_take_it(attack):
    """ART's and ours: the weights move as they do on its images given as data."""
    y = np.arange(len(X)) % CLASSES
    for train in (
        lambda c, a: AdversarialTrainer(c, a, ratio=1.0).fit(X, y, batch_size=35, nb_epochs=1),
        lambda c, a: DomainAdversarialTrainer(c, a, seed=0).fit(X, y, batch_size=35, nb_epochs=1),
    ):
        model = make_classifier().model
        classifier = wrap(model, optimizer=torch.optim.SGD(model.parameters(), 0.05))
        before = [p.detach().clone() for p in model.parameters()]
        with warnings.catch_warnings(action="ignore"):
            train(classifier, attack.against(classifier))
        assert any((p - q).abs().max() > 1e-5 for p, q in zip(model.parameters(), before, strict=True))


def test_a_trainer_warns_of_one_that_was_fitted_to_another_classifier(tmp_path):
    """It is told by the weights that ``fit`` looked at, whatever wraps them; what is read from a file knows of none."""

    def trained_by(model, of):
        return DomainAdversarialTrainer(wrap(model, optimizer=torch.optim.SGD(model.parameters(), 0.05)), of)

    model = make_classifier().model
    own = PerturbationGenerator(wrap(model), eps=0.1, epochs=1, width=2, blocks=0, verbose=False)
    own.fit(X, np.zeros(len(X), int))
    own.save(tmp_path / "generator.pt")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for one in (own, copy.deepcopy(own), own.against(wrap(model))):
            trained_by(model, one)
        assert not [each for each in caught if "another classifier" in str(each.message)]
        with torch.no_grad():
            next(model.parameters()).add_(0.1)
        trained_by(model, PerturbationGenerator.load(tmp_path / "generator.pt", wrap(model)))
        assert not [each for each in caught if "another classifier" in str(each.message)]
        trained_by(model, own)
    (said,) = [each for each in caught if "attack was fitted to another classifier" in str(each.message)]
    assert said.filename == __file__


def test_an_evaluation_takes_a_fitted_one(attack):
    y = attack.estimator.predict(X).argmax(1)
    assert Attacked(attack.against, eps=0.1).name == "PerturbationGenerator linf 0.1"
    with pytest.raises(TypeError, match=r"write Attacked\(attack.against, eps=8/255\)"):
        evaluate(attack.estimator, {"advgan": attack}, (X, y))
    conditions = {"advgan": Attacked(attack.against, eps=0.1)}
    found = evaluate(attack.estimator, conditions, (X, y), diagnosed=False)
    right = found.outcomes.of("model", "advgan")["right"]
    np.testing.assert_array_equal(np.asarray(right, bool)[0], ~fooled(attack.estimator, attack.generate(X), y))


def test_another_radius_is_followed_in_proportion(attack):
    small, large = attack.against(attack.estimator, eps=0.05), attack
    inside = (X > 0.15) & (X < 0.85)
    ratio = (small.generate(X) - X)[inside] - 0.5 * (large.generate(X) - X)[inside]
    assert np.abs(ratio).max() < 1e-6


def test_what_makes_no_sense_is_refused(attack):
    classifier = make_classifier()
    with pytest.raises(ValueError, match="attack must be fitted first"):
        PerturbationGenerator(classifier).generate(X)
    with pytest.raises(ValueError, match="attack must be fitted first"):
        PerturbationGenerator(classifier).save("nowhere.pt")
    with pytest.raises(ValueError, match="eps must be one number"):
        PerturbationGenerator(classifier, eps=np.full((70, 1, 1, 1), 0.1))
    with pytest.raises(ValueError, match="width must be >= 2"):
        PerturbationGenerator(classifier, width=0)
    with pytest.raises(ValueError, match="gan_weight must be a finite number >= 0"):
        PerturbationGenerator(classifier, gan_weight=-1)
    with pytest.raises(ValueError, match=r"x must be images \(N, C, H, W\)"):
        PerturbationGenerator(classifier).fit(X.reshape(70, -1))
    with pytest.raises(ValueError, match=r"x must be images \(N, 1, H, W\)"):
        attack.generate(np.concatenate((X, X), 1))


def test_signs_of_failure_are_told():
    """Of a linear model one perturbation does for all images; of twelve images there is little to learn."""
    with pytest.warns(RuntimeWarning) as told:
        PerturbationGenerator(linear(), **(QUICK | {"epochs": 40, "confidence": 1e3})).fit(X[:12], np.zeros(12, int))
    said = " ".join(str(one.message) for one in told)
    assert "mode collapse" in said
    assert "12 images of x are too few" in said
    assert all(one.filename == __file__ for one in told)
    won = FitRecord(({"discriminator": 0.3}, *[{"discriminator": 0.01}] * 5))
    assert len(sign_of_victory(won, "it", "do")) == 1
    assert sign_of_victory(FitRecord(({"discriminator": 0.2},)), "it", "do") == []
    assert FitRecord.from_dict(won.to_dict()) == won


def test_similarity_is_the_mean_cosine_of_pairs():
    rows = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).double()
    pairs = [float(torch.cosine_similarity(rows[i], rows[j], 0)) for i in range(5) for j in range(5) if i != j]
    assert similarity(rows) == pytest.approx(np.mean(pairs))
    assert similarity(rows[:1].expand(4, 7)) == pytest.approx(1)


def test_images_of_any_size_come_back_in_their_size():
    for side in (5, 9, 27):
        x = np.random.default_rng(0).random((6, 1, side, side + 1), dtype=np.float32)
        model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        classifier = PyTorchClassifier(
            model, nn.CrossEntropyLoss(), x.shape[1:], 3, clip_values=(0, 1), device_type="cpu"
        )
        assert fitted(classifier, x, epochs=1).generate(x).shape == x.shape
