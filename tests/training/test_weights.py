"""Moving averages and adversarial weight perturbation."""

import copy

import pytest
import torch
from torch import nn

from art_domainrand.training.trainer.weights import MovingAverage, perturbed

from support.estimators import cnn
from support.trainer import assert_same, corners, differs, trainable, trainer_of, weights, whole_batch, with_norm

GAMMA = 0.01


class Tied(nn.Module):
    """One weight under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight


def stop_if(holds: bool) -> None:
    if holds:
        raise RuntimeError("stop")


def test_average_is_the_weighted_sum_of_all_weights_so_far() -> None:
    model, decay = nn.Linear(2, 2), 0.9
    average = MovingAverage(model, decay)
    expected = model.weight.detach().double().clone()
    for step in range(1, 120):
        with torch.no_grad():
            model.weight.fill_(float(step))
        average.update(model)
        share = min(decay, (1 + step) / (10 + step))
        expected = share * expected + (1 - share) * step
    torch.testing.assert_close(average.values["weight"].double(), expected, rtol=1e-5, atol=1e-5)
    assert average.steps == 119


def test_average_reaches_its_limit_under_constant_weights() -> None:
    """After n steps at full decay the distance to constant weights is decay^n of what it was."""
    model = nn.Linear(2, 2)
    average = MovingAverage(model, 0.5)
    with torch.no_grad():
        model.weight.fill_(1.0)
    average.steps = 1000
    average.values["weight"].fill_(0.0)
    for _ in range(10):
        average.update(model)
    torch.testing.assert_close(average.values["weight"], torch.full((2, 2), 1 - 0.5**10))


def test_buffers_are_copied_and_tied_weights_averaged_once() -> None:
    model = with_norm()
    average = MovingAverage(model, 0.9)
    model.train()
    model(torch.rand(4, 1, 8, 8))
    average.update(model)
    assert torch.equal(average.values["1.running_mean"], model[1].running_mean)
    tied = Tied()
    mean = MovingAverage(tied, 0.9)
    with torch.no_grad():
        tied.first.weight.add_(1.0)
    mean.update(tied)
    with mean.applied_to(tied):
        assert torch.equal(tied.first.weight, mean.values["first.weight"])
        assert torch.equal(mean.values["first.weight"], mean.values["second.weight"])


def test_weights_are_given_back_bit_for_bit_also_after_an_exception() -> None:
    model = with_norm()
    average = MovingAverage(model, 0.9)
    with torch.no_grad():
        model[0].weight.add_(1.0)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(RuntimeError, match="stop"), average.applied_to(model):
        stop_if(not differs(dict(model.state_dict()), average.values))
    assert_same(before, dict(model.state_dict()))


@pytest.mark.parametrize("scale", [1.0, 1e-30])
def test_perturbation_moves_every_matrix_by_gamma_of_its_norm_along_the_gradient(scale: float) -> None:
    model = with_norm()
    gradients = {name: torch.randn_like(p) * scale for name, p in model.named_parameters()}
    before = copy.deepcopy(model.state_dict())
    with perturbed(model, gradients, GAMMA):
        for name, parameter in model.named_parameters():
            moved = parameter.detach().double() - before[name].double()
            if parameter.dim() < 2:
                assert torch.equal(parameter, before[name]), name
                continue
            assert float(moved.norm() / before[name].norm()) == pytest.approx(GAMMA, rel=1e-4)
            along = torch.nn.functional.cosine_similarity(
                moved.flatten(), gradients[name].double().flatten() / scale, 0
            )
            assert float(along) == pytest.approx(1, abs=1e-5)
    assert_same(before, dict(model.state_dict()))


def test_perturbation_is_taken_back_after_an_exception_inside_and_on_the_way_in() -> None:
    model = cnn()
    gradients = {name: torch.ones_like(p) for name, p in model.named_parameters()}
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(RuntimeError, match="stop"), perturbed(model, gradients, GAMMA):
        stop_if(differs(before, dict(model.state_dict())))
    assert_same(before, dict(model.state_dict()))
    with pytest.raises(RuntimeError), perturbed(model, gradients | {"4.weight": torch.ones(7)}, GAMMA):
        pass
    assert_same(before, dict(model.state_dict()))


def test_a_gradient_of_zero_or_infinity_moves_nothing() -> None:
    model = nn.Linear(3, 3)
    before = model.weight.detach().clone()
    for value in (0.0, torch.inf, torch.nan):
        with perturbed(model, {"weight": torch.full((3, 3), value)}, GAMMA):
            assert torch.equal(model.weight, before), value


def one_step(awp: float, model: nn.Module) -> list[torch.Tensor]:
    """One batch of a trainer with AWP; the weights that every forward pass in training mode saw."""
    classifier = trainable(model)
    trainer = trainer_of(classifier, objective="madry", awp=awp, schedule="constant")
    run = trainer._run(steps=1, nb_epochs=1)
    seen: list[torch.Tensor] = []

    def note(module: nn.Module, _: object) -> None:
        if module.training:
            seen.append(module[0].weight.detach().clone())

    x, y = corners(16)
    handle = model.register_forward_pre_hook(note)
    with run.opened():
        run.epoch(0, [whole_batch(torch.from_numpy(x), torch.from_numpy(y))])
    handle.remove()
    return seen


def test_the_trainers_step_is_that_of_the_perturbed_weights_taken_from_the_own_ones() -> None:
    """Wu et al. 2020, equation 11: w <- (w + v) - rate * gradient(w + v) - v."""
    model = cnn()
    start = weights(trainable(model))
    seen = one_step(GAMMA, model)
    assert len(seen) == 2
    assert torch.equal(seen[0], start["0.weight"])
    relative = (seen[1].double() - seen[0].double()).norm() / seen[0].double().norm()
    assert float(relative) == pytest.approx(GAMMA, rel=1e-4)
    weight = model[0].weight
    torch.testing.assert_close(weight.detach(), start["0.weight"] - 0.05 * weight.grad)


def test_batch_normalization_counts_a_batch_once_with_and_without_perturbation() -> None:
    for awp in (0.0, GAMMA):
        model = with_norm()
        seen = one_step(awp, model)
        assert int(model[1].num_batches_tracked) == 1
        assert len(seen) == (2 if awp else 1)


def test_frozen_weights_stay_frozen_under_perturbation() -> None:
    model = cnn()
    model[0].weight.requires_grad_(False)
    start = weights(trainable(model))
    one_step(GAMMA, model)
    assert torch.equal(model[0].weight, start["0.weight"])
    assert not torch.equal(model[4].weight, start["4.weight"])
