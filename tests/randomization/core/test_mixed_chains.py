"""Chains that are mixed: the law of the weights, the mixture itself, and what labels can follow."""

import pytest
import torch
from scipy import stats

from art_domainrand.randomization import (
    Brightness,
    Clipped,
    Contrast,
    Draw,
    GaussianNoise,
    Invert,
    MixedChains,
    OneOf,
    Pipeline,
    RandomDepth,
    Rotation,
    Translation,
    preset,
)
from art_domainrand.randomization.core.coordinates import coordinates, described
from art_domainrand.randomization.core.mixed_chains import BrokenPart, broken_stick
from art_domainrand.randomization.core.random_order import apply_selected

OPERATIONS = (Contrast((0.2, 0.8), pivot=0.0), Brightness((-0.3, 0.3)), GaussianNoise(0.1))


def drawn(pipeline, n, seed=0):
    return pipeline.sample(n, torch.Generator().manual_seed(seed))


def images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_weights_are_of_the_dirichlet_distribution_of_ones(width):
    """Each alone is of Beta(1, K - 1), any two sum to Beta(2, K - 2), and all of them to one."""
    mixed = MixedChains(Brightness(), width)
    draw = drawn(Pipeline(mixed), 4000)
    weights = mixed.values(draw.u.double(), draw.seeds)["weights"]
    torch.testing.assert_close(weights.sum(1), torch.ones(4000, dtype=torch.float64))
    for k in range(width if width > 1 else 0):
        assert stats.kstest(weights[:, k], stats.beta(1, width - 1).cdf).pvalue > 1e-3
    if width > 2:
        assert stats.kstest(weights[:, 0] + weights[:, -1], stats.beta(2, width - 2).cdf).pvalue > 1e-3
    share = mixed.values(draw.u.double(), draw.seeds)["share"]
    assert stats.kstest(share, stats.beta(1, 1).cdf).pvalue > 1e-3


def test_a_broken_part_is_the_inverse_of_scipys_beta():
    u = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    for rest in (1, 2, 4):
        torch.testing.assert_close(BrokenPart(rest).icdf(u), torch.from_numpy(stats.beta(1, rest).ppf(u)))


def test_the_ends_of_the_cube_have_weights_and_slopes():
    u = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    weights = broken_stick([BrokenPart(2).icdf(u[:, 0]), BrokenPart(1).icdf(u[:, 1])], torch.ones(2))
    torch.testing.assert_close(weights[0].detach(), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    weights.square().sum().backward()
    assert u.grad.isfinite().all()


@pytest.mark.parametrize("width", [1, 3])
def test_the_mixture_is_that_of_the_images_that_the_chains_make_alone(width):
    chain = RandomDepth(OneOf(OPERATIONS), (1, 3))
    mixed = MixedChains(chain, width)
    x, draw = images(12, 3, 6, 5), drawn(Pipeline(mixed), 12)
    values = Pipeline(mixed).chain.values(draw.u, draw.seeds)["0"]
    share, weights = values["share"].view(-1, 1, 1, 1), values["weights"][:, :, None, None, None]
    mixture = sum(weights[:, k] * chain.apply(x, values[str(k)]) for k in range(width))
    torch.testing.assert_close(Pipeline(mixed).apply(x, draw), (1 - share) * x + share * mixture)


def test_a_chain_is_as_deep_as_was_drawn_and_elsewhere_than_on_the_cpu_the_results_are_selected():
    chain = RandomDepth([Contrast((0.2, 0.8), pivot=0.0)], (0, 2))
    x, draw = images(9, 1, 4, 4), drawn(Pipeline(chain), 9)
    draw.u[:, 0] = (torch.arange(9) + 0.5) / 9
    values = Pipeline(chain).chain.values(draw.u, draw.seeds)["0"]
    assert values["depth"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    factors = torch.stack([values[str(k)]["0"]["factor"] for k in range(2)], 1)
    factors = torch.where(torch.arange(2) < values["depth"][:, None], factors, 1.0).prod(1)
    torch.testing.assert_close(Pipeline(chain).apply(x, draw), x * factors.view(-1, 1, 1, 1))
    selected = x
    for reached, member, own in chain._steps(values):
        selected = apply_selected(selected, reached.long() - 1, [member], [own])
    assert torch.equal(selected, Pipeline(chain).apply(x, draw))


def test_what_does_not_act_is_not_told():
    pipeline = Pipeline(RandomDepth(Invert(), (1, 3)))
    u = torch.tensor([0.5, 0.1, 0.2, 0.3])
    assert described(pipeline.chain, u) == {
        "0 RandomDepth depth": "2 times", "0.0 Invert amount": "0.1 share", "0.1 Invert amount": "0.2 share",
    }  # fmt: skip
    augmix = preset("augmix")
    draw = drawn(augmix, 200)
    x = images(200, 3, 8, 8)
    acting = torch.stack([coordinate.acts(draw.u) for coordinate in coordinates(augmix.chain)], 1)
    other = torch.where(acting, draw.u, drawn(augmix, 200, seed=1).u)
    assert torch.equal(augmix.apply(x, draw), augmix.apply(x, Draw(other, draw.seeds))), "what does not act"
    assert 0.1 < acting.float().mean() < 0.4


def test_keypoints_follow_a_chain_of_any_depth_and_back():
    pipeline = Pipeline(RandomDepth([Rotation((-40, 40)), Translation()], (0, 2)))
    draw = drawn(pipeline, 8)
    points = torch.tensor([[[3.0, 4.0], [10.0, 7.0]]]).expand(8, 2, 2)
    moved = pipeline.geometry(draw, (16, 16)).keypoints(points)
    still = pipeline.chain.values(draw.u, draw.seeds)["0"]["depth"] == 0
    assert torch.equal((moved == points).all(2).all(1), still)
    back = pipeline.inverse(draw, (16, 16)).keypoints(moved)
    seen = torch.isfinite(back)
    torch.testing.assert_close(back[seen], points[seen], atol=1e-3, rtol=0)


def test_labels_do_not_follow_a_mixture_of_places_but_stay_where_colours_are_mixed():
    boxes = [torch.tensor([[1.0, 2.0, 5.0, 6.0]])] * 2
    moving, still = Pipeline(MixedChains(Rotation())), Pipeline(MixedChains(OneOf(OPERATIONS)))
    with pytest.raises(ValueError, match=r"labels cannot follow MixedChains\(transform=Rotation"):
        moving.geometry(drawn(moving, 2), (8, 8))
    assert torch.equal(still.geometry(drawn(still, 2), (8, 8)).boxes(boxes)[0], boxes[0])


def test_what_is_clipped_is_what_a_clip_makes_of_it_with_a_slope_up_to_the_bounds():
    pipeline, plain = Pipeline(Clipped(Brightness((-0.5, 0.5)))), Pipeline(Brightness((-0.5, 0.5)))
    x, draw = images(4, 1, 5, 5).requires_grad_(), drawn(plain, 4)
    changed = pipeline.apply(x, draw)
    shifted = plain.apply(x, draw)
    assert torch.equal(changed, shifted.clamp(0, 1))
    changed.sum().backward()
    assert torch.equal(x.grad, ((shifted >= 0) & (shifted <= 1)).float())
    black = torch.zeros(1, 1, 2, 2, requires_grad=True)
    Pipeline(Clipped(Brightness(0.0)))(black).sum().backward()
    assert torch.equal(black.grad, torch.ones_like(black))
