"""DomainAdversarialTrainer: what it trains on, and its curricula, schedule and precision."""

import copy

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.data_generators import NumpyDataGenerator
from torch import Tensor, nn

from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.training.trainer.options import WAYS

from support.estimators import cnn
from support.trainer import (
    BRIGHT,
    EPS,
    Inputs,
    corners,
    fit,
    robust_accuracy,
    trainable,
    trainer_of,
    weights,
    whole_batch,
    with_norm,
)

# What is learned


@pytest.mark.parametrize("objective", WAYS)
def test_every_objective_makes_the_model_more_robust(objective: str) -> None:
    classifier = trainable(rate=0.1)
    before = robust_accuracy(classifier)
    weight = 1.0 if objective == "mart" else None  # its default asks for more than six filters can do
    fit(classifier, n=192, epochs=9, clip_norm=1.0, objective=objective, weight=weight, randomization=BRIGHT)
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
    monkeypatch.setattr("art_domainrand.training.trainer.ranges.BUFFER", 8)
    trainer = fit(trainable(), n=96, epochs=4, objective=objective, randomization=BRIGHT, automatic_ranges=True)
    assert trainer.history[-1]["range"] != pytest.approx(0.1)


def test_consistency_judges_boundaries_by_the_draw_that_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that fails at the upper boundary alone: that boundary closes, the other opens."""
    monkeypatch.setattr("art_domainrand.training.trainer.ranges.BUFFER", 8)
    from art_domainrand.training.trainer.forward import TrainingScores

    classifier = trainable(rate=1e-9)
    trainer = trainer_of(
        classifier, objective="consistency", randomization=[R.Brightness((-0.2, 0.2))], automatic_ranges=True
    )
    run = trainer._run(steps=8, nb_epochs=1)
    placed, place = [], run.ranges.place
    run.ranges.place = lambda draw: placed.append(place(draw)) or placed[-1]
    y = torch.zeros(64, dtype=torch.int64)

    def planted(*views: Tensor) -> Tensor:
        right = torch.ones(64 * len(views), dtype=torch.bool)
        right[128:192] = placed[-1].u[:, 0] != run.ranges.high[0]
        return nn.functional.one_hot(torch.where(right, 0, 1), 4).float() + 0 * next(run.net.parameters()).sum()

    monkeypatch.setattr(TrainingScores, "__call__", lambda self, *views: planted(*views))
    run.epoch(0, [whole_batch(torch.rand(64, 1, 8, 8), y, 64 * number) for number in range(4)])
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
    trainer = fit(trainable(), n=32, epochs=4, range_epochs=2, randomization=BRIGHT)
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
    fit(plain, randomization=BRIGHT)
    fit(last, randomization=BRIGHT, memory_format="channels_last")
    assert seen[0] == torch.empty(6, 1, 3, 3).to(memory_format=torch.channels_last).stride()
    assert [p.stride() for p in last.model.parameters()] == strides
    for name, value in weights(plain).items():
        torch.testing.assert_close(value, weights(last)[name], rtol=1e-3, atol=1e-4)
    kept = trainable(cnn().to(memory_format=torch.channels_last))
    fit(kept, memory_format="channels_last")
    assert kept.model[0].weight.stride() == seen[0]
