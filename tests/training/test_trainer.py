"""DomainAdversarialTrainer: what it trains on, what it measures, and that it leaves everything else as found."""

import copy
import random
import struct
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.data_generators import NumpyDataGenerator, PyTorchDataGenerator
from art.defences.preprocessor import FeatureSqueezing
from art.defences.trainer import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from trainer_support import (
    BRIGHT,
    assert_same,
    corners,
    differs,
    trainable,
    trainer_of,
    weights,
    with_dropout,
    with_norm,
)

from art_domainrand import (
    FGSM,
    PGD,
    AutoPGD,
    DifferentiableDefence,
    DomainAdversarialTrainer,
    DomainRandomization,
)
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.training import scalars
from art_domainrand.training.options import WAYS
from art_domainrand.training.validation import Validator, is_overfitted

from tests_support import cnn

EPS = 0.1
NOISE = R.Pipeline([R.GaussianNoise((0.05, 0.2))])


class Inputs:
    """What a Sequential is shown: in training mode, with the first weights it had then, and, with a gradient in
    evaluation mode, the images that an attack climbs from."""

    def __init__(self, model: nn.Sequential) -> None:
        self.trained: list[Tensor] = []
        self.climbed: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.attacks: list[int] = []  # steps of an attack before each pass in training mode
        model[0].register_forward_pre_hook(self.note)

    def note(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if layer.training:
            self.trained.append(inputs[0].detach().clone())
            self.weights.append(next(layer.parameters()).detach().clone())
            self.attacks.append(len(self.climbed))
        elif inputs[0].requires_grad:
            self.climbed.append(inputs[0].detach().clone())


def fit(classifier, n: int = 64, epochs: int = 1, batch: int = 32, data=None, **options):
    trainer = trainer_of(classifier, **({"objective": "madry"} | options))
    x, y = corners(n)
    trainer.fit(x, y, batch_size=batch, nb_epochs=epochs, validation_data=data)
    return trainer


def robust_accuracy(classifier) -> float:
    x, y = corners(100, seed=9)
    attack = PGD(classifier, eps=EPS, eps_step=EPS / 4, max_iter=10, verbose=False)
    return float((classifier.predict(attack.generate(x, y)).argmax(1) == y).mean())


# What is learned


@pytest.mark.parametrize("objective", WAYS)
def test_every_objective_makes_the_model_more_robust(objective: str) -> None:
    classifier = trainable(rate=0.1)
    before = robust_accuracy(classifier)
    weight = 1.0 if objective == "mart" else None  # its default asks for more than six filters can do
    fit(classifier, n=192, epochs=9, clip_norm=1.0, objective=objective, weight=weight, pipeline=BRIGHT)
    assert robust_accuracy(classifier) > before + 0.25


def naive_madry(classifier, x: Tensor, y: Tensor, epochs: int, batch: int) -> None:
    """Madry et al. 2018 with ART's own attack, plain cross-entropy and a cosine schedule."""
    attack = ProjectedGradientDescentPyTorch(classifier, eps=EPS, eps_step=0.05, max_iter=2, verbose=False)
    optimizer, steps = classifier.optimizer, epochs * len(x) // batch
    for step in range(steps):
        rows = slice(step * batch % len(x), step * batch % len(x) + batch)
        adversarial = torch.from_numpy(attack.generate(x[rows].numpy(), y[rows].numpy()))
        optimizer.param_groups[0]["lr"] = 0.05 * 0.5 * (1 + np.cos(np.pi * step / steps))
        classifier.model.train()
        optimizer.zero_grad()
        nn.functional.cross_entropy(classifier.model(adversarial), y[rows]).backward()
        optimizer.step()


def test_madry_is_the_plain_loop_with_arts_attack() -> None:
    x, y = corners(64)
    ours, theirs = trainable(), trainable()
    trainer = trainer_of(ours, objective="madry", starts=0)
    trainer.fit_generator(NumpyDataGenerator(x, y, batch_size=16), nb_epochs=2)
    naive_madry(theirs, torch.from_numpy(x), torch.from_numpy(y), 2, 16)
    for name, value in weights(ours).items():
        torch.testing.assert_close(value, weights(theirs)[name], rtol=1e-4, atol=1e-5)


def test_fast_is_one_step_of_five_quarters_eps_from_a_random_start() -> None:
    classifier = trainable()
    model = copy.deepcopy(classifier.model)
    inputs = Inputs(classifier.model)
    x, y = (torch.from_numpy(values) for values in corners(16))
    fit(classifier, n=16, batch=16, objective="fast", starts=0)
    assert inputs.attacks == [1]
    start, adversarial = inputs.climbed[0], inputs.trained[0]
    order = ((start.unsqueeze(1) - x).abs().amax((2, 3, 4)) <= EPS + 1e-6).int().argmax(1)
    x, y = x[order], y[order]
    noise = (start - x)[(x > EPS) & (x < 1 - EPS)] / EPS
    assert abs(float(noise.mean())) < 0.1  # uniform in [-1, 1]
    assert float(noise.std()) == pytest.approx(1 / np.sqrt(3), abs=0.05)
    leaf = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(leaf), y), leaf)
    expected = torch.clamp(start + 1.25 * EPS * gradient.sign(), x - EPS, x + EPS).clamp(0, 1)
    torch.testing.assert_close(adversarial, expected, rtol=0, atol=1e-6)


def test_free_replays_batches_moves_weights_each_time_and_stays_in_ball_and_box() -> None:
    classifier = trainable()
    inputs = Inputs(classifier.model)
    fit(classifier, n=64, batch=32, objective="free", replays=3, seed=1)
    assert len(inputs.trained) == 6
    assert inputs.attacks == [0] * 6
    assert len({tuple(w.flatten().tolist()) for w in inputs.weights}) == 6
    x = torch.from_numpy(corners(64)[0])
    for shown in inputs.trained:
        nearest = (shown.unsqueeze(1) - x).abs().amax((2, 3, 4)).amin(1)
        assert float(nearest.max()) <= EPS + 1e-6
        assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
    assert float((inputs.trained[2] - inputs.trained[0]).abs().max()) > EPS / 2


def naive_free(classifier, x: Tensor, y: Tensor, batch: int, replays: int) -> None:
    """Shafahi et al. 2019, algorithm 1, line by line."""
    delta = torch.zeros_like(x[:batch])
    for rows in torch.arange(len(x)).split(batch):
        for _ in range(replays):
            shown = (x[rows] + delta).clamp(0, 1).requires_grad_()
            classifier.optimizer.zero_grad()
            nn.functional.cross_entropy(classifier.model(shown), y[rows]).backward()
            classifier.optimizer.step()
            delta = (delta + EPS * shown.grad.sign()).clamp(-EPS, EPS)


def test_free_is_the_papers_algorithm_with_a_perturbation_that_goes_on() -> None:
    x, y = corners(48)
    ours, theirs = trainable(), trainable()
    trainer = trainer_of(ours, objective="free", replays=3, schedule="constant")
    trainer.fit_generator(NumpyDataGenerator(x, y, batch_size=16), nb_epochs=1)
    naive_free(theirs, torch.from_numpy(x), torch.from_numpy(y), 16, 3)
    for name, value in weights(ours).items():
        torch.testing.assert_close(value, weights(theirs)[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("objective", ["free", "consistency", "standard", "madry"])
def test_automatic_ranges_learn_from_every_objective(monkeypatch: pytest.MonkeyPatch, objective: str) -> None:
    monkeypatch.setattr("art_domainrand.training.ranges.BUFFER", 8)
    trainer = fit(trainable(), n=96, epochs=4, objective=objective, pipeline=BRIGHT, automatic_ranges=True)
    assert trainer.history[-1]["range"] != pytest.approx(0.1)


def test_consistency_judges_boundaries_by_the_draw_that_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that fails at the upper boundary alone: that boundary closes, the other opens."""
    monkeypatch.setattr("art_domainrand.training.ranges.BUFFER", 8)
    from art_domainrand.training.run import Run

    classifier = trainable(rate=1e-9)
    trainer = trainer_of(
        classifier, objective="consistency", pipeline=[R.Brightness((-0.2, 0.2))], automatic_ranges=True
    )
    run = Run(classifier, trainer.attack, trainer.pipeline, trainer.options, 8, 1)
    placed, place = [], run.ranges.place
    run.ranges.place = lambda draw: placed.append(place(draw)) or placed[-1]
    y = torch.zeros(64, dtype=torch.int64)

    def planted(*views: Tensor) -> Tensor:
        right = torch.ones(64 * len(views), dtype=torch.bool)
        right[128:192] = placed[-1].u[:, 0] != run.ranges.high[0]
        return nn.functional.one_hot(torch.where(right, 0, 1), 4).float() + 0 * next(run.net.parameters()).sum()

    run.forward = planted
    run.epoch(0, lambda _: iter([(torch.rand(64, 1, 8, 8), y)] * 4))
    assert float(run.ranges.low[0]) < 0.45
    assert float(run.ranges.high[0]) < 0.55


# Curricula, schedule, precision


def test_eps_rises_linearly_over_its_epochs_and_the_attack_stays_in_it() -> None:
    classifier = trainable()
    inputs = Inputs(classifier.model)
    trainer = fit(classifier, n=32, epochs=5, eps_epochs=3)
    assert [row["eps_share"] for row in trainer.history] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    x = torch.from_numpy(corners(32)[0])
    reach = [float((shown.unsqueeze(1) - x).abs().amax((2, 3, 4)).amin(1).max()) for shown in inputs.trained]
    assert reach == pytest.approx([EPS * row["eps_share"] for row in trainer.history], rel=1e-4)
    assert (trainer.attack.eps, trainer.attack.eps_step) == (EPS, 0.05)


def test_ranges_open_linearly_over_their_epochs() -> None:
    trainer = fit(trainable(), n=32, epochs=4, range_epochs=2, pipeline=BRIGHT)
    assert [row["range"] for row in trainer.history] == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_cosine_follows_its_formula_to_zero_and_rates_are_given_back() -> None:
    classifier = trainable(rate=0.2)
    rates = []
    classifier.optimizer.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
    keys = set(classifier.optimizer.param_groups[0])
    trainer = fit(classifier, n=64, epochs=3)
    assert rates == pytest.approx([0.2 * 0.5 * (1 + np.cos(np.pi * step / 6)) for step in range(6)])
    assert trainer.history[-1]["rate_share"] == pytest.approx(0, abs=1e-12)
    group = classifier.optimizer.param_groups[0]
    assert group["lr"] == 0.2
    assert set(group) == keys
    assert "step" not in vars(classifier.optimizer)
    rates.clear()
    group["lr"] = 0.01  # a later fit takes the rate it finds
    fit(classifier, n=64, epochs=1)
    assert rates[0] == pytest.approx(0.01)


def test_free_reaches_the_end_of_the_schedule_once_replays_are_counted() -> None:
    trainer = fit(trainable(), objective="free", replays=2, epochs=2)
    assert trainer.history[0]["rate_share"] == pytest.approx(0.5)
    assert trainer.history[1]["rate_share"] == pytest.approx(0, abs=1e-12)


def test_gradients_are_clipped_to_the_norm() -> None:
    norms = {}
    for clip in (None, 0.05):
        classifier = trainable()
        found = norms.setdefault(clip, [])
        parameters = list(classifier.model.parameters())
        classifier.optimizer.register_step_pre_hook(
            lambda *_, p=parameters, f=found: f.append(float(torch.cat([q.grad.flatten() for q in p]).norm()))
        )
        fit(classifier, clip_norm=clip)
    assert min(norms[None]) > 0.05
    assert norms[0.05] == pytest.approx([0.05] * 2, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("objective", ["trades", "free"])
def test_mixed_precision_computes_in_half_and_keeps_whole_weights(dtype: torch.dtype, objective: str) -> None:
    classifier = trainable(with_norm())
    seen = set()
    classifier.model[-1].register_forward_hook(lambda module, _, out: seen.add((module.training, out.dtype)))
    trainer = fit(
        classifier, n=96, epochs=3, objective=objective, autocast=dtype, awp=0.01 if objective == "trades" else 0
    )
    assert (True, dtype) in seen
    if objective == "trades":
        assert (False, dtype) in seen  # the attack too
    assert all(value.isfinite().all() for value in weights(classifier).values())
    assert {p.dtype for p in classifier.model.parameters()} == {torch.float32}
    whole = fit(trainable(with_norm()), n=96, epochs=3, objective=objective)
    assert trainer.history[0]["loss"] == pytest.approx(whole.history[0]["loss"], rel=0.3)


def test_channels_last_gives_the_same_and_gives_the_memory_format_back() -> None:
    plain, last = trainable(with_norm()), trainable(with_norm())
    strides = [p.stride() for p in last.model.parameters()]
    seen = []
    conv = last.model[0]
    conv.register_forward_pre_hook(lambda m, i: seen.append(m.weight.stride()))
    fit(plain, pipeline=BRIGHT)
    fit(last, pipeline=BRIGHT, channels_last=True)
    assert seen[0] == torch.empty(6, 1, 3, 3).to(memory_format=torch.channels_last).stride()
    assert [p.stride() for p in last.model.parameters()] == strides
    for name, value in weights(plain).items():
        torch.testing.assert_close(value, weights(last)[name], rtol=1e-3, atol=1e-4)
    kept = trainable(cnn().to(memory_format=torch.channels_last))
    fit(kept, channels_last=True)
    assert kept.model[0].weight.stride() == seen[0]


# Validation


def planted(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, float]], kept: list | None = None) -> None:
    """Let the validation find ``rows``, and note the weights it saw."""
    left = iter(rows)

    def measure(self: Validator) -> dict[str, float]:
        if kept is not None:
            kept.append(weights(self.classifier))
        return dict(next(left))

    monkeypatch.setattr(Validator, "measure", measure)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_epoch_of_best_robust_accuracy_is_kept(monkeypatch: pytest.MonkeyPatch, ema: float) -> None:
    kept: list = []
    planted(monkeypatch, [{"clean": 1.0, "robust": r, "fast": r} for r in (0.2, 0.5, 0.3)], kept)
    classifier = trainable()
    trainer = fit(classifier, epochs=3, data=corners(8), ema=ema)
    assert_same(weights(classifier), kept[1])
    assert differs(kept[1], kept[2])
    assert [row["robust"] for row in trainer.history] == [0.2, 0.5, 0.3]


def test_moving_averages_are_what_is_validated_and_kept() -> None:
    raw, averaged = trainable(), trainable()
    fit(raw, epochs=1)
    fit(averaged, epochs=1, ema=0.9)
    start = weights(trainable())
    model = {name: start[name].clone() for name in start}
    reference = trainable()
    from art_domainrand.training.weights import MovingAverage

    average = MovingAverage(reference.model, 0.9)
    reference.optimizer.register_step_post_hook(lambda *_: average.update(reference.model))
    fit(reference, epochs=1)
    assert_same(weights(averaged), average.values)
    assert_same(weights(raw), weights(reference))
    assert differs(weights(averaged), weights(raw))
    assert differs(weights(averaged), model)


def test_validation_is_pgd_of_ten_steps_one_step_and_the_pipeline() -> None:
    classifier = trainable()
    x, y = corners(40)
    fit(classifier, n=192, epochs=3)
    validator = Validator(classifier, x, y, np.inf, EPS, R.Pipeline([R.Invert((1.0, 1.0))]), 4, 16)
    found = validator.measure()
    attack = PGD(
        classifier, eps=EPS, eps_step=EPS / 4, max_iter=10, num_random_init=1, batch_size=16, seed=4, verbose=False
    )

    def accuracy(images: np.ndarray) -> float:
        return float((classifier.predict(images).argmax(1) == y).mean())

    assert found == validator.measure()
    assert found["clean"] == accuracy(x)
    assert found["robust"] == accuracy(attack.generate(x, y))
    assert found["shift"] == accuracy(1 - x)
    assert found["robust"] <= found["fast"] <= found["clean"]


HEALTHY = [
    [(0.3, 0.2), (0.5, 0.4), (0.6, 0.5)],
    [(0.6, 0.41), (0.7, 0.45), (0.7, 0.46)],
    [(0.9, 0.65), (0.9, 0.60), (0.95, 0.66)],
    [(0.15, 0.05), (0.2, 0.08), (0.3, 0.12)],
]


def history_of(pairs: list[tuple[float, float]]) -> list[dict[str, float]]:
    return [{"fast": fast, "robust": robust, "eps_share": 1.0} for fast, robust in pairs]


def test_the_alarm_fires_on_catastrophic_overfitting_alone() -> None:
    for pairs in HEALTHY:
        assert not any(is_overfitted(history_of(pairs[: k + 1])) for k in range(len(pairs)))
    fallen = [(0.5, 0.42), (0.6, 0.45), (0.92, 0.01), (0.95, 0.0), (0.97, 0.0)]
    assert [is_overfitted(history_of(fallen[: k + 1])) for k in range(5)] == [False, False, True, True, True]
    never = [(0.9, 0.0), (0.9, 0.02), (0.9, 0.03)]
    assert all(is_overfitted(history_of(never[: k + 1])) for k in range(3))
    falling = [(0.7, 0.55), (0.75, 0.44)]
    assert is_overfitted(history_of(falling))
    warming = [{"fast": 0.9, "robust": 0.1, "eps_share": 0.5}]
    assert not is_overfitted(warming)
    assert not is_overfitted([{"loss": 1.0}])


def test_the_trainer_warns_and_notes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, [{"clean": 1.0, "robust": r, "fast": f} for f, r in ((0.5, 0.45), (0.9, 0.0))])
    with pytest.warns(RuntimeWarning, match="catastrophic overfitting: 90.0% accuracy under one step, 0.0% under PGD"):
        trainer = fit(trainable(), epochs=2, objective="fast", data=corners(8))
    assert [row["overfitted"] for row in trainer.history] == [0.0, 1.0]


def test_one_step_training_is_watched_without_validation_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Validator, "attacked", lambda self: {"robust": 0.0, "fast": 0.9})
    with pytest.warns(RuntimeWarning, match="catastrophic overfitting"):
        trainer = fit(trainable(), objective="fast")
    assert (trainer.history[0]["train_robust"], trainer.history[0]["train_fast"]) == (0.0, 0.9)


# Preprocessing


def test_images_are_standardised_as_in_art() -> None:
    classifier = trainable(preprocessing=(0.4, 0.5))
    inputs = Inputs(classifier.model)
    fit(classifier, n=16, batch=16)
    x = torch.from_numpy(corners(16)[0])
    shown = inputs.trained[0] * 0.5 + 0.4
    assert float((shown.unsqueeze(1) - x).abs().amax((2, 3, 4)).amin(1).max()) <= EPS + 1e-5


def test_defences_of_the_classifier_run_in_training() -> None:
    squeezing = DifferentiableDefence(FeatureSqueezing(clip_values=(0, 1), bit_depth=2, apply_fit=True))
    classifier = trainable(preprocessing_defences=[squeezing])
    inputs = Inputs(classifier.model)
    fit(classifier, n=16, batch=16)
    assert {round(v * 3, 4) for v in inputs.trained[0].flatten().tolist()} == {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize("apply_fit", [True, False])
def test_the_classifiers_own_randomization_draws_afresh_in_training(apply_fit: bool) -> None:
    own = DomainRandomization(NOISE, seed=0, apply_fit=apply_fit)
    classifier = trainable(preprocessing_defences=[own], rate=1e-9)
    inputs = Inputs(classifier.model)
    trainer = trainer_of(classifier, objective="madry", starts=0)
    trainer.fit_generator(NumpyDataGenerator(*corners(16), batch_size=16), nb_epochs=2)
    assert torch.allclose(*inputs.trained, atol=1e-4) != apply_fit


@pytest.mark.parametrize("objective", ["trades", "mart", "consistency"])
def test_views_that_are_compared_see_one_draw_of_the_classifiers_own_randomization(objective: str) -> None:
    own = DomainRandomization(NOISE, seed=0)
    classifier = trainable(preprocessing_defences=[own])
    inputs = Inputs(classifier.model)
    trainer = trainer_of(classifier, objective=objective)
    trainer.attack = PGD(classifier, eps=0.0, eps_step=0.1, max_iter=1, verbose=False)
    trainer.fit(*corners(16), batch_size=16, nb_epochs=1)
    parts = inputs.trained[0].split(16)
    assert len(parts) == (4 if objective == "consistency" else 2)
    assert all(torch.equal(part, parts[0]) for part in parts)


def test_a_numpy_defence_is_refused_with_the_name_of_what_helps() -> None:
    classifier = trainable(preprocessing_defences=[FeatureSqueezing(clip_values=(0, 1))])
    with pytest.raises(ValueError, match=r"DifferentiableDefence\(defence\), got FeatureSqueezing"):
        trainer_of(classifier)


# ART's interface


def test_it_is_a_trainer_of_art() -> None:
    classifier = trainable()
    trainer = trainer_of(classifier)
    assert isinstance(trainer, Trainer)
    assert trainer.get_classifier() is trainer.classifier is classifier
    x, _ = corners(5)
    assert np.array_equal(trainer.predict(x, batch_size=2), classifier.predict(x, batch_size=2))


def test_labels_may_be_indices_columns_or_one_hot() -> None:
    x, y = corners(32)
    found = []
    for labels in (y, y[:, None], np.eye(4)[y], torch.from_numpy(y)):
        classifier = trainable()
        trainer_of(classifier).fit(x, labels, batch_size=16, nb_epochs=1, validation_data=(x, labels))
        found.append(weights(classifier))
    for other in found[1:]:
        assert_same(found[0], other)


@pytest.mark.parametrize("kind", ["numpy", "pytorch", "randomized"])
def test_generators_of_art_train(kind: str) -> None:
    from art_domainrand.training.generator import RandomizedDataGenerator

    x, y = corners(96)
    one_hot = np.eye(4, dtype=np.float32)[y]
    if kind == "numpy":
        generator = NumpyDataGenerator(x, one_hot, batch_size=32, shuffle=True)
    elif kind == "pytorch":
        loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=32, shuffle=True)
        generator = PyTorchDataGenerator(loader, size=96, batch_size=32)
    else:
        generator = RandomizedDataGenerator(x, y, batch_size=32, pipeline=BRIGHT, seed=0)
    classifier = trainable(rate=0.1)
    before = robust_accuracy(classifier)
    inputs = Inputs(classifier.model)
    trainer_of(classifier, objective="madry").fit_generator(generator, nb_epochs=12)
    assert len(inputs.trained) == 12 * -(-generator.size // 32)
    assert robust_accuracy(classifier) > before + 0.2


@pytest.mark.parametrize("attack", [FGSM, AutoPGD, PGD])
def test_every_gradient_attack_trains(attack) -> None:
    classifier = trainable()
    options = {} if attack is FGSM else {"max_iter": 2, "verbose": False}
    trainer = DomainAdversarialTrainer(classifier, attack(classifier, eps=EPS, **options), verbose=False)
    start = weights(classifier)
    trainer.fit(*corners(16), batch_size=8, nb_epochs=1)
    assert differs(start, weights(classifier))


@pytest.mark.parametrize("norm", [1, 2, np.inf])
@pytest.mark.parametrize("objective", ["fast", "free"])
def test_one_step_training_keeps_the_ball_of_every_norm(norm: float, objective: str) -> None:
    classifier = trainable()
    inputs = Inputs(classifier.model)
    trainer = trainer_of(classifier, objective=objective)
    trainer.attack = PGD(classifier, norm, eps=0.5, eps_step=0.1, max_iter=1, verbose=False)
    x, y = corners(16)
    trainer.fit_generator(NumpyDataGenerator(x, y, batch_size=16), nb_epochs=1)
    for shown in inputs.trained:
        distance = torch.linalg.vector_norm((shown - torch.from_numpy(x)).flatten(1), norm, dim=1)
        assert float(distance.max()) <= 0.5 + 1e-5
    assert float(distance.max()) > 0.25


# As found


def surroundings(trainer) -> dict:
    classifier = trainer.classifier
    return {
        "flags": [module.training for module in classifier.model.modules()],
        "grads": [p.requires_grad for p in classifier.model.parameters()],
        "rates": [group["lr"] for group in classifier.optimizer.param_groups],
        "strides": [p.stride() for p in classifier.model.parameters()],
        "attack": {name: getattr(trainer.attack, name) for name in trainer.attack.attack_params},
        "stream": trainer.attack._stream._key,
        "torch": torch.get_rng_state().tolist(),
        "numpy": [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
        "python": random.getstate(),
    }


@pytest.mark.parametrize("failing", [False, True])
def test_everything_but_the_weights_is_as_found_also_after_an_exception(failing: bool) -> None:
    classifier = trainable(with_dropout())
    classifier.model.eval()
    classifier.model[0].train()
    classifier.model[0].bias.requires_grad_(False)
    options = {"eps_epochs": 2, "channels_last": True, "ema": 0.5, "awp": 0.01, "clip_norm": 1.0, "pipeline": BRIGHT}
    trainer = trainer_of(classifier, **options)
    trainer.attack.seed = 7
    before = surroundings(trainer)
    x, y = corners(32)
    if failing:
        passes = []

        def stop(module: nn.Module, _: object) -> None:
            passes.append(1)
            if len(passes) == 9:
                raise RuntimeError("stop")

        classifier.model[0].register_forward_pre_hook(stop)
        with pytest.raises(RuntimeError, match="stop"):
            trainer.fit(x, y, batch_size=16, nb_epochs=2)
    else:
        trainer.fit(x, y, batch_size=16, nb_epochs=2, validation_data=(x, y))
    assert surroundings(trainer) == before


def test_a_seed_makes_a_run_repeat_whatever_the_callers_generators_are_at() -> None:
    runs = []
    for caller in (1, 2):
        torch.manual_seed(caller)
        np.random.seed(caller)
        classifier = trainable(with_dropout())
        trainer = fit(classifier, objective="trades", pipeline=BRIGHT, data=corners(16))
        runs.append((weights(classifier), trainer.history))
    assert_same(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    other = trainable(with_dropout())
    fit(other, objective="trades", pipeline=BRIGHT, seed=1)
    assert differs(runs[0][0], weights(other))


# Arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "maddry"}, "objective must be one of"),
        ({"objective": ["madry"]}, "objective must be one of"),
        ({"objective": "madry", "weight": 6.0}, "weight must be None with objective='madry'"),
        ({"objective": "free", "awp": 0.1}, 'awp must be 0 with objective="free"'),
        ({"awp": -1}, "awp must be a number >= 0, got -1"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\), got 1.0"),
        ({"clip_norm": 0}, "clip_norm must be None or a number > 0, got 0"),
        ({"replays": 0}, "replays must be an int >= 1, got 0"),
        ({"eps_epochs": 1.5}, "eps_epochs must be an int >= 0, got 1.5"),
        ({"autocast": torch.float64}, "autocast must be None, torch.bfloat16 or torch.float16"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"automatic_ranges": True}, "pipeline must be given"),
        ({"range_epochs": 2}, "pipeline must be given"),
        ({"checkpoint": 5}, "checkpoint must be None, a str or a Path"),
        ({"verbose": 1}, "verbose must be a bool"),
    ],
)
def test_wrong_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trainer_of(trainable(), **options)


def test_wrong_objects_are_named() -> None:
    classifier = trainable()
    attack = PGD(classifier, eps=EPS, verbose=False)
    with pytest.raises(TypeError, match=r"lerning_rate.*the options are"):
        trainer_of(classifier, lerning_rate=1)
    with pytest.raises(TypeError, match=r"classifier must be .* with an optimizer"):
        DomainAdversarialTrainer(trainable(optimizer=None), attack)
    with pytest.raises(TypeError, match="attack must be an FGSM, PGD or AutoPGD"):
        DomainAdversarialTrainer(classifier, ProjectedGradientDescentPyTorch(classifier, verbose=False))
    with pytest.raises(ValueError, match="attack must be untargeted"):
        DomainAdversarialTrainer(classifier, PGD(classifier, targeted=True, verbose=False))
    with pytest.raises(ValueError, match="classifier must have a loss that is a mean"):
        trainer_of(trainable(loss=nn.CrossEntropyLoss(reduction="sum")))
    with pytest.raises(ValueError, match="classifier must be given with clip_values for a pipeline"):
        trainer_of(trainable(clip_values=None), pipeline=BRIGHT)


def test_wrong_data_are_named() -> None:
    trainer = trainer_of(trainable())
    x, y = corners(8)
    soft = np.full((8, 4), 0.25, dtype=np.float32)
    with pytest.raises(ValueError, match="y must hold class indices or one-hot rows, got"):
        trainer.fit(x, soft)
    with pytest.raises(ValueError, match="x must hold at least one image, got 0"):
        trainer.fit(x[:0], y[:0])
    with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
        trainer.fit(x, y, epochs=3)
    with pytest.raises(ValueError, match="validation_data must be a pair"):
        trainer.fit(x, y, validation_data=x)
    with pytest.raises(TypeError, match="generator must be an ART DataGenerator with a size"):
        trainer.fit_generator([(x, y)])
    with pytest.raises(ValueError, match="batch_size must be >= 1"):
        trainer.fit(x, y, batch_size=0)


def test_a_model_with_one_output_is_refused() -> None:
    model = cnn(classes=1)
    classifier = trainable(model, nb_classes=2, loss=nn.BCEWithLogitsLoss())
    trainer = trainer_of(classifier, objective="free")
    with pytest.raises(ValueError, match=r"classifier must return a tensor of class scores \(B, K\), K >= 2"):
        trainer.fit(*(part % 2 if part.ndim == 1 else part for part in corners(8)), nb_epochs=1)


# Progress


def records(path: Path) -> dict[tuple[str, int], float]:
    """The scalars of a TensorBoard event file: records of a length, a checksum, an event and a checksum."""
    event_pb2 = import_module("tensorboardX.proto.event_pb2")
    data, found = path.read_bytes(), {}
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = event_pb2.Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            found[value.tag, event.step] = value.simple_value
        data = data[16 + length :]
    return found


def test_scalars_of_every_epoch_are_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    trainer = fit(trainable(), epochs=2, log_dir=tmp_path, data=corners(16), pipeline=BRIGHT)
    (file,) = tmp_path.iterdir()
    found = records(file)
    assert {name for name, _ in found} >= {"loss", "clean", "robust", "shift", "range"}
    for epoch, row in enumerate(trainer.history):
        for name, value in row.items():
            assert found[name, epoch] == pytest.approx(value, rel=1e-6, abs=1e-9)


def test_without_tensorboard_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(scalars, "import_module", missing)
    with pytest.raises(ImportError, match="log_dir needs tensorboard or tensorboardX: pip install tensorboardX"):
        fit(trainable(), log_dir=tmp_path)


def test_progress_shows_clean_robust_and_shift_accuracy(capsys: pytest.CaptureFixture) -> None:
    trainer = fit(trainable(), data=corners(16), pipeline=BRIGHT, verbose=True)
    row, said = trainer.history[0], capsys.readouterr().err
    for name in ("clean", "robust", "shift"):
        assert f"{name}={row[name]:.3f}" in said
    fit(trainable(), verbose=False)
    assert not capsys.readouterr().err
