"""Learned ranges: the law, its gradients, and what it freezes to."""

import math

import pytest
import torch

from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.randomization.domains import Histogram
from art_domainrand.randomization.learned import LearnableRanges, group_weights

PIPELINE = R.Pipeline(
    [
        R.Rotation((-30.0, 30.0)),
        R.OneOf([R.Brightness((-0.3, 0.3)), R.Gamma(R.LogUniform(0.5, 2.0)), R.Flip()], (2.0, 1.0, 1.0)),
        R.Sometimes(R.Contrast((0.5, 1.5)), 0.5),
    ]
)
X = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def even(n: int = 64, pipeline: R.Pipeline = PIPELINE, seed: int = 1):
    return pipeline.sample(n, torch.Generator().manual_seed(seed))


def moved(family: str) -> LearnableRanges:
    ranges = LearnableRanges(PIPELINE, family)
    with torch.no_grad():
        if family == "box":
            ranges.bounds.copy_(torch.tensor([[0.2, 0.0, 0.5, 0.1], [0.6, 0.5, 1.0, 0.9]]))
        else:
            ranges.bounds.copy_(torch.tensor([[-0.5, 1.0, 0.3, 0.0], [-0.7, 0.2, 2.0, 0.0]]))
        ranges.logits[0].copy_(torch.tensor([0.0, 1.5, -1.0]))
    return ranges


@pytest.mark.parametrize("family", ["box", "beta"])
def test_at_first_the_law_is_the_pipelines_own(family: str) -> None:
    ranges = LearnableRanges(PIPELINE, family)
    assert ranges.names == ("0.angle", "1.0.shift", "1.1.gamma", "2.0.factor")
    torch.testing.assert_close(ranges(X, even()), PIPELINE.apply(X, even()), atol=1e-4, rtol=0)
    torch.testing.assert_close(ranges.entropies(), torch.zeros(5), atol=1e-3, rtol=0)
    assert ranges.to_pipeline().transforms[0] == PIPELINE.transforms[0]


@pytest.mark.parametrize("members", [2, 4])
def test_an_entropy_of_nothing_is_shown_without_a_sign(members: int) -> None:
    """Odds that are exactly the pipeline's own have no divergence from them."""
    domains = [R.Flip(), R.Gamma(), R.Brightness(), R.Contrast()][:members]
    ranges = LearnableRanges(R.Pipeline([R.OneOf(domains)]), "box")
    shown = [str(float(value)) for value in (*ranges.entropies(), ranges.entropy())]
    assert "-0.0" not in shown
    assert float(ranges.entropy()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("family", ["box", "beta"])
def test_the_frozen_pipeline_draws_from_the_same_law(family: str) -> None:
    """The same even draw, value for value; a choice is made at the same odds."""
    ranges, draw = moved(family), even(4000)
    frozen = ranges.to_pipeline()
    placed = ranges.place(draw).u.detach()
    for column, (name, own) in enumerate(PIPELINE.parameters.items()):
        if name.endswith(("selector", "gate", "horizontal", "vertical")):
            continue
        found, law = own.icdf(placed[:, column]), frozen.parameters[name]
        torch.testing.assert_close(found, law.icdf(draw.u[:, column]), atol=2e-4, rtol=1e-4)
        low, high = own.support
        assert low <= law.support[0]
        assert law.support[1] <= high
    choose, again = PIPELINE.transforms[1], frozen.transforms[1]
    assert torch.equal(choose.member(placed[:, 1]), again.member(draw.u[:, 1]))
    assert again.weights == pytest.approx(ranges.odds()[0].tolist())


def test_normal_ranges_are_cut_by_a_box() -> None:
    ranges = LearnableRanges([R.Rotation(R.Normal(0.0, 10.0))], "box")
    with torch.no_grad():
        ranges.bounds.copy_(torch.tensor([[0.3], [0.8]]))
    draw = even(500, ranges.pipeline)
    found = R.Normal(0.0, 10.0).icdf(ranges.place(draw).u[:, 0])
    torch.testing.assert_close(found, ranges.to_pipeline().parameters["0.angle"].icdf(draw.u[:, 0]), atol=1e-3, rtol=0)


def test_what_could_not_be_frozen_is_not_learned() -> None:
    """A window far out in a tail: of a part of it float32 could not draw, and so it stays as it is."""
    tail, window = R.TruncatedNormal(0.0, 10.0, 28.0, 29.5), R.TruncatedNormal(0.0, 10.0, -5.0, 20.0)
    assert LearnableRanges([R.Rotation(window), R.Rotation(tail)], "box").names == ("0.angle",)
    ranges = LearnableRanges([R.Rotation(window)], "box")
    for low in (0.0, 0.5, 0.98):
        with torch.no_grad():
            ranges.bounds.copy_(torch.tensor([[low], [low + 0.02]]))
        assert ranges.to_pipeline().parameters["0.angle"].support[0] >= -5.0
    with pytest.raises(ValueError, match="pipeline must have a"):
        LearnableRanges([R.Rotation(tail)], "box")


def test_a_field_of_several_coordinates_has_one_range() -> None:
    ranges = LearnableRanges([R.Perspective()], "beta")
    assert len(ranges.names) < len(ranges.pipeline.parameters)
    with torch.no_grad():
        ranges.bounds.fill_(1.0)
    frozen = ranges.to_pipeline()
    assert all(isinstance(law, R.Beta) for law in frozen.parameters.values())


CHAIN = R.OneOf([R.Rotation((-30.0, 30.0)), R.Clipped(R.Brightness((-0.3, 0.3))), R.Contrast((0.5, 1.5))])


@pytest.mark.parametrize("family", ["box", "beta"])
@pytest.mark.parametrize("whole", [R.RandomDepth(CHAIN, (1, 3)), R.MixedChains(R.RandomDepth(CHAIN, (1, 2)), 3)])
def test_what_is_applied_several_times_has_one_law_for_all_times(family: str, whole: R.Transform) -> None:
    ranges = LearnableRanges([whole], family)
    assert [name.rpartition(".")[2] for name in ranges.names] == ["angle", "shift", "factor"]
    with torch.no_grad():
        ranges.bounds.add_(torch.tensor([[0.1, 0.3, 0.2], [-0.3, -0.1, -0.2]]))
        ranges.logits[0].copy_(torch.tensor([0.0, 1.0, -1.0]))
    draw, frozen = even(pipeline=ranges.pipeline), ranges.to_pipeline()
    torch.testing.assert_close(ranges(X, draw), frozen.apply(X, draw), atol=1e-3, rtol=0)
    assert not torch.allclose(frozen.apply(X, draw), ranges.pipeline.apply(X, draw), atol=1e-2)
    selectors = [k for k, name in enumerate(frozen.parameters) if name.endswith("selector")]
    depths = [k for k, name in enumerate(frozen.parameters) if name.endswith("depth")]
    times = whole.depth if isinstance(whole, R.RandomDepth) else whole.transform.depth
    log_odds, placed = ranges.odds()[0].log(), ranges.place(draw).u
    total = torch.zeros(len(placed))
    for place, column in enumerate(selectors):
        depth = times[0] + (placed[:, depths[place // times[1]]] * (times[1] - times[0] + 1)).long()
        reached = depth > place % times[1]
        total += torch.where(reached, log_odds[CHAIN.member(placed[:, column])], 0.0)
    torch.testing.assert_close(ranges.log_odds(draw), total)


def test_modalities_keep_what_they_learned() -> None:
    members = {"rgb": R.ImageModality([R.Brightness((-0.2, 0.2))]), "depth": R.DepthModality()}
    scene = R.MultiModal(members, R.Rotation())
    ranges = LearnableRanges(scene.stacked({"rgb": 3, "depth": 1}))
    with torch.no_grad():
        ranges.bounds.add_(0.5)
    x, draw = X.expand(64, 4, 8, 8), even(pipeline=ranges.pipeline)
    torch.testing.assert_close(ranges(x, draw), ranges.to_pipeline().apply(x, draw), atol=1e-3, rtol=0)
    assert R.MultiModal.of(ranges.to_pipeline()).modalities["depth"] == scene.modalities["depth"]


def test_a_fitted_domain_stays_fitted() -> None:
    domain = Histogram(R.Uniform(1.0, 5.0)).fit(X.square())
    ranges, draw = LearnableRanges([domain], "box"), even(pipeline=R.Pipeline([domain]))
    with torch.no_grad():
        ranges.bounds.copy_(torch.tensor([[0.6], [0.9]]))
    torch.testing.assert_close(ranges.to_pipeline().apply(X, draw), ranges(X, draw), atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", ["box", "beta"])
def test_the_same_draw_gives_the_same_bits_and_slices_commute(family: str) -> None:
    ranges, draw = moved(family), even()
    whole = ranges(X, draw)
    assert torch.equal(whole, ranges(X, draw))
    rows = torch.tensor([3, 60, 7, 8])
    assert torch.equal(whole[rows], ranges(X[rows], draw[rows]))


@pytest.mark.parametrize("family", ["box", "beta"])
def test_gradients_are_those_of_finite_differences(family: str) -> None:
    pipeline = R.Pipeline([R.Brightness((-0.5, 0.5)), R.Gamma(R.LogUniform(0.5, 2.0))])
    ranges, x = LearnableRanges(pipeline, family).double(), X.double() * 0.5 + 0.5
    draw = R.Draw(even(64, pipeline).u.double(), even(64, pipeline).seeds)
    start = torch.tensor([[0.2, 0.1], [0.7, 0.9]]).double() if family == "box" else torch.tensor([[0.5, -0.4]] * 2)

    def total(bounds: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            ranges.bounds.copy_(bounds)
        return ranges(x, draw).square().mean() + 0.1 * ranges.entropy()

    value = total(start)
    (found,) = torch.autograd.grad(value, [ranges.bounds])
    for place in ((0, 0), (1, 1)):
        step = torch.zeros(2, 2).double()
        step[place] = 1e-5
        slope = (total(start + step) - total(start - step)).item() / 2e-5
        assert float(found[place]) == pytest.approx(slope, rel=1e-4, abs=1e-9)


def test_the_score_function_finds_the_gradient_of_the_odds() -> None:
    """A member's loss is planted, so the expected loss is the odds' product with it."""
    ranges = LearnableRanges([R.OneOf([R.Brightness(), R.Contrast(), R.Gamma()])])
    planted = torch.tensor([1.0, 3.0, 0.5])
    draw = ranges.pipeline.sample(20_000, torch.Generator().manual_seed(0), method="stratified")
    chosen = ranges.pipeline.transforms[0].member(ranges.place(draw).u[:, 0])
    losses = planted[chosen]
    estimate = ((losses - losses.mean()) * ranges.log_odds(draw)).mean()
    (found,) = torch.autograd.grad(estimate, [ranges.logits[0]])
    (exact,) = torch.autograd.grad(ranges.odds()[0] @ planted, [ranges.logits[0]])
    torch.testing.assert_close(found, exact, atol=5e-3, rtol=0)


def test_a_choice_that_has_no_effect_counts_nothing() -> None:
    ranges = LearnableRanges([R.Sometimes(R.OneOf([R.Brightness(), R.Contrast()]), 0.3)])
    draw = even(1000, ranges.pipeline)
    counted = ranges.log_odds(draw) != 0
    assert torch.equal(counted, draw.u[:, 0] < 0.3)


def test_what_is_kept_is_of_the_pipelines_own_law() -> None:
    ranges = LearnableRanges([R.OneOf([R.Brightness((0.1, 0.3)), R.Brightness((-0.3, -0.1))])], kept=0.4)
    with torch.no_grad():
        ranges.logits[0].copy_(torch.tensor([8.0, 0.0]))
        ranges.bounds.copy_(torch.tensor([[9.0, 0.0], [0.0, 0.0]]))  # the first member's range goes to its end
    draw = even(4000, ranges.pipeline)
    kept = ranges.log_odds(draw) == 0
    grey = torch.full((4000, 1, 1, 1), 0.5)
    own, placed = ranges.pipeline.apply(grey, draw), ranges(grey, draw).detach()
    assert torch.equal(own[kept], placed[kept])
    assert float(kept.double().mean()) == pytest.approx(0.4, abs=0.035)
    frozen = ranges.to_pipeline()
    again = frozen.apply(grey, frozen.sample(4000, torch.Generator().manual_seed(2)))
    for shade in (0.3, 0.5, 0.7, 0.79):
        shares = [float((images < shade).double().mean()) for images in (placed, again)]
        assert shares[0] == pytest.approx(shares[1], abs=0.05)
    read = LearnableRanges.from_json(ranges.to_json())
    assert torch.equal(read.place(draw).u, ranges.place(draw).u)
    with pytest.raises(ValueError, match=r"kept must be a number in \[0, 1\), got -0.1"):
        LearnableRanges([R.Brightness()], kept=-0.1)


@pytest.mark.parametrize("family", ["box", "beta"])
def test_limits_hold_whatever_an_optimizer_does(family: str) -> None:
    ranges = LearnableRanges(PIPELINE, family)
    optimizer = torch.optim.SGD(ranges.parameters(), lr=100.0)
    for sign in (1.0, -1.0):
        optimizer.zero_grad()
        (sign * ranges.place(even()).u.square().mean()).backward()
        optimizer.step()
        u = ranges.place(even()).u
        assert bool(((u >= 0) & (u <= 1)).all())
        assert bool(ranges.entropies().isfinite().all())
        limited = ranges.limited()
        ranges.project()
        torch.testing.assert_close(ranges.limited(), limited)
        for law in ranges.to_pipeline().parameters.values():
            assert all(map(math.isfinite, law.support))


@pytest.mark.parametrize("family", ["box", "beta"])
def test_json_and_state_bring_all_back(family: str) -> None:
    ranges = moved(family)
    again, fresh = LearnableRanges.from_json(ranges.to_json()), LearnableRanges(PIPELINE, family)
    fresh.load_state_dict(ranges.state_dict())
    for other in (again, fresh):
        assert torch.equal(other(X, even()), ranges(X, even()))
        assert other.to_pipeline() == ranges.to_pipeline()


def test_wrong_arguments_and_documents_are_refused() -> None:
    with pytest.raises(ValueError, match="family must be one of"):
        LearnableRanges(PIPELINE, "gauss")
    with pytest.raises(ValueError, match="pipeline must have a Uniform or LogUniform range or a OneOf to learn"):
        LearnableRanges([R.Flip()])
    right = LearnableRanges(PIPELINE).to_json()
    head, _, tail = right.partition('"bounds": ')
    wrong = (head + '"bounds": ' + tail.replace("0.0", "NaN", 1), head + '"bounds": [], "logits": 5}')
    for text in ("{", "[]", "5", right.replace('"logits": [', '"logits": [[1.0], '), *wrong):
        with pytest.raises(ValueError, match="document must"):
            LearnableRanges.from_json(text)


def test_weights_rise_with_the_losses_of_their_groups() -> None:
    weights = torch.full((3,), 1 / 3)
    losses, groups = torch.tensor([1.0, 3.0, 0.0]), torch.tensor([0, 0, 1])
    found = group_weights(weights, losses, groups, 0.5)
    expected = torch.tensor([2.0, 0.0, 4 / 3]).mul(0.5).exp()  # the third is absent: the mean of all
    torch.testing.assert_close(found, expected / expected.sum())
    for _ in range(200):
        weights = group_weights(weights, torch.tensor([0.1, 0.9, 0.2]), torch.arange(3), 0.5)
    assert float(weights[1]) > 0.99
    with pytest.raises(ValueError, match="rate must be > 0"):
        group_weights(weights, losses, groups, 0.0)
