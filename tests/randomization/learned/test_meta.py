"""The gradient through a training step, against finite differences of the two-level objective in float64."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional

from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.randomization.learned import LearnableRanges, meta_gradient
from art_domainrand.randomization.learned.unrolled import noise_share


def losses(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(scores, y, reduction="none")


class Problem:
    """A small network with batch normalization, a pipeline with ranges and a choice, and two batches."""

    def __init__(self, family: str = "beta") -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(108, 4)
        ).double()
        pipeline = R.Pipeline([R.Brightness((-0.4, 0.4)), R.OneOf([R.Contrast((0.5, 1.5)), R.Gamma((0.5, 2.0))])])
        self.ranges = LearnableRanges(pipeline, family).double()
        if family == "beta":
            with torch.no_grad():
                self.ranges.bounds.add_(0.2 * torch.randn(2, 3).double())
        else:
            with torch.no_grad():
                self.ranges.bounds.copy_(torch.tensor([[0.1, 0.2, 0.05], [0.8, 0.9, 0.7]]))
        self.train = (0.1 + 0.8 * torch.rand(24, 1, 8, 8).double(), torch.arange(24) % 4)
        self.validation = (torch.rand(16, 1, 8, 8).double(), torch.arange(16) % 4)
        draw = pipeline.sample(24, torch.Generator().manual_seed(3))
        self.draw = R.Draw(draw.u.double(), draw.seeds)

    def after_step(self, lr: float) -> float:
        """The validation loss after a step, with torch's own optimizer on a copy of the model."""
        model = deepcopy(self.model)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        with torch.no_grad():
            x = self.ranges(self.train[0], self.draw)
        losses(model(x), self.train[1]).mean().backward()
        optimizer.step()
        return float(losses(model(self.validation[0]), self.validation[1]).mean().detach())


@pytest.mark.parametrize("family", ["box", "beta"])
@pytest.mark.parametrize(("method", "tolerance"), [("exact", 1e-5), ("differences", 2e-2)])
def test_it_agrees_with_finite_differences_of_the_whole_step(family: str, method: str, tolerance: float) -> None:
    problem = Problem(family)
    found = meta_gradient(
        problem.model, losses, problem.ranges, problem.train, problem.validation, 0.3, draw=problem.draw, method=method
    )
    assert float(found.loss) == pytest.approx(problem.after_step(0.3), rel=1e-9)
    slopes = torch.zeros(2, 3).double()
    for place in [(row, column) for row in range(2) for column in range(3)]:
        ends = []
        for sign in (1, -1):
            problem.ranges.bounds.data[place] += sign * 1e-5
            ends.append(problem.after_step(0.3))
            problem.ranges.bounds.data[place] -= sign * 1e-5
        slopes[place] = (ends[0] - ends[1]) / 2e-5
    assert float(slopes.abs().max()) > 1e-4
    torch.testing.assert_close(found.gradients[0], slopes, rtol=tolerance, atol=tolerance * float(slopes.abs().max()))


def test_both_methods_agree_on_the_odds_and_leave_the_model_as_found() -> None:
    problem = Problem()
    before = {name: value.clone() for name, value in problem.model.state_dict().items()}
    exact, near = (
        meta_gradient(
            problem.model, losses, problem.ranges, problem.train, problem.validation, 0.3, draw=problem.draw, method=way
        ).gradients[1]
        for way in ("exact", "differences")
    )
    assert float(exact.abs().max()) > 0
    torch.testing.assert_close(near, exact, rtol=2e-2, atol=2e-2 * float(exact.abs().max()))
    assert all(torch.equal(value, before[name]) for name, value in problem.model.state_dict().items())
    assert all(weight.grad is None for weight in problem.model.parameters())


def test_dropout_is_no_part_of_the_differences_and_leaves_the_generator_as_found() -> None:
    problem = Problem()
    problem.model.insert(4, nn.Dropout(0.5))
    before = torch.get_rng_state()
    exact, near = (
        meta_gradient(
            problem.model, losses, problem.ranges, problem.train, problem.validation, 0.3, draw=problem.draw, method=way
        ).gradients[0]
        for way in ("exact", "differences")
    )
    torch.testing.assert_close(near, exact, rtol=2e-2, atol=2e-2 * float(exact.abs().max()))
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_is_the_share_of_the_standard_error() -> None:
    """A linear loss: the gradient of a sample is the sample itself."""
    samples = torch.randn(8000, 5, generator=torch.Generator().manual_seed(0))
    weights = {"w": torch.zeros(5)}
    alone = noise_share(lambda w: samples @ w["w"], weights)
    assert float(alone) > 0.3
    shifted = samples + 1.0
    assert float(noise_share(lambda w: shifted @ w["w"], weights)) == pytest.approx(1 / 8000, rel=0.6)


def test_wrong_arguments_are_refused() -> None:
    problem = Problem()
    for lr, method, message in ((0.1, "implicit", "method must be one of"), (0.0, "exact", "lr must be > 0")):
        with pytest.raises(ValueError, match=message):
            meta_gradient(
                problem.model,
                losses,
                problem.ranges,
                problem.train,
                problem.validation,
                lr,
                draw=problem.draw,
                method=method,
            )


def test_the_differences_of_a_model_with_dropout_are_of_its_weights_alone() -> None:
    """Dropout draws the same units at every loss that is compared; otherwise the difference would be its noise."""
    problem = Problem()
    problem.model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Dropout(0.5), nn.Linear(32, 4)
    ).double()
    found = []
    for method in ("exact", "differences"):
        torch.manual_seed(7)
        found.append(
            meta_gradient(
                problem.model,
                losses,
                problem.ranges,
                problem.train,
                problem.validation,
                0.3,
                draw=problem.draw,
                method=method,
            )
        )
    assert found[0].loss == found[1].loss
    for exact, near in zip(found[0].gradients, found[1].gradients, strict=True):
        torch.testing.assert_close(near, exact, rtol=2e-2, atol=2e-2 * float(exact.abs().max()))
