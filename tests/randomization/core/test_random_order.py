"""All of several transforms, in an order that is a coordinate of the cube."""

from dataclasses import dataclass, field
from itertools import permutations

import pytest
import torch

from art_domainrand.randomization import (
    Brightness,
    Contrast,
    Draw,
    GaussianNoise,
    Pipeline,
    PixelTransform,
    RandomOrder,
    Rotation,
    Sometimes,
    Translation,
)
from art_domainrand.randomization.core.coordinates import described
from art_domainrand.randomization.core.random_order import apply_selected, orders_at

MEMBERS = (Contrast((0.2, 0.8), pivot=0.0), Brightness((-0.3, 0.3)), Sometimes(Rotation((-40, 40))), GaussianNoise(0.1))
ORDERS = list(permutations(range(len(MEMBERS))))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def at_orders(pipeline, n):
    """A draw in which image i has the i-th of the orders."""
    draw = pipeline.sample(n, seeded())
    draw.u[:, 0] = (torch.arange(n) + 0.5) / n
    return draw


def one_after_the_other(x, draw):
    """Each image by itself, through a chain in its own order with the parameters of each member."""
    chain = Pipeline(RandomOrder(MEMBERS)).chain
    values = chain.values(draw.u, draw.seeds)["0"]
    found = []
    for i, order in enumerate(ORDERS):
        image = x[i : i + 1]
        for k in order:
            own = chain.values(draw.u[i : i + 1], draw.seeds[i : i + 1])["0"]
            image = MEMBERS[k].apply(image, own[str(k)])
        found.append(image)
    assert values["order"].tolist() == [list(order) for order in ORDERS]
    return torch.cat(found)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_each_image_goes_through_all_in_its_own_order(layout):
    pipeline, n = Pipeline(RandomOrder(MEMBERS)), len(ORDERS)
    x = torch.rand(n, 3, 9, 7, generator=seeded(1)).contiguous(memory_format=layout)
    draw = at_orders(pipeline, n)
    assert torch.equal(pipeline.apply(x, draw), one_after_the_other(x, draw))


def test_elsewhere_than_on_the_cpu_the_results_are_selected():
    whole, n = RandomOrder(MEMBERS), len(ORDERS)
    x = torch.rand(n, 3, 9, 7, generator=seeded(1))
    draw = at_orders(Pipeline(whole), n)
    values = Pipeline(whole).chain.values(draw.u, draw.seeds)["0"]
    found = x
    for choice in values["order"].unbind(1):
        found = apply_selected(found, choice, whole.transforms, [values[str(k)] for k in range(len(MEMBERS))])
    assert torch.equal(found, Pipeline(whole).apply(x, draw))


def test_every_order_has_an_equal_share():
    u = torch.linspace(0, 1, 24 * 50 + 1)[:-1] + 1e-4
    found, counts = torch.unique(orders_at(u, 4), dim=0, return_counts=True)
    assert len(found) == 24
    assert (counts == 50).all()
    assert orders_at(torch.tensor([0.0, 1.0]), 3).tolist() == [[0, 1, 2], [2, 1, 0]]


@dataclass(frozen=True)
class Counted(PixelTransform):
    """Remembers how many images it was given."""

    seen: list = field(default_factory=list, compare=False)

    def apply(self, x, values):
        self.seen.append(len(x))
        return x + 1


def test_a_member_costs_each_image_once():
    members = [Counted(), Counted(), Counted()]
    pipeline = Pipeline(RandomOrder(members))
    x = torch.zeros(40, 1, 2, 2)
    assert (pipeline.apply(x, pipeline.sample(40, seeded())) == 3).all()
    assert [sum(member.seen) for member in members] == [40, 40, 40]


def test_labels_follow_the_order():
    members = [Rotation((-40, 40)), Translation((-0.3, 0.3), (-0.3, 0.3)), Brightness()]
    pipeline = Pipeline(RandomOrder(members))
    orders = list(permutations(range(3)))
    draw = at_orders(pipeline, len(orders))
    points = torch.rand(len(orders), 5, 2, generator=seeded(2)) * 20
    found = pipeline.geometry(draw, (20, 20)).keypoints(points)
    back = pipeline.inverse(draw, (20, 20)).keypoints(found)
    spans = {0: slice(1, 2), 1: slice(2, 4), 2: slice(4, 5)}
    for i, order in enumerate(orders):
        chain = Pipeline([members[k] for k in order])
        u = torch.cat([draw.u[i : i + 1, spans[k]] for k in order], dim=1)
        expected = chain.geometry(Draw(u, draw.seeds[i : i + 1]), (20, 20)).keypoints(points[i : i + 1])
        torch.testing.assert_close(found[i : i + 1], expected)
    torch.testing.assert_close(back, points, atol=1e-3, rtol=1e-3)


def test_it_is_described_in_words():
    chain = Pipeline(RandomOrder([Brightness(0.1), Contrast(2.0)])).chain
    said = [described(chain, torch.tensor([u, 0.5, 0.5]))["0 RandomOrder order"] for u in (0.2, 0.7)]
    assert said == ["Brightness > Contrast", "Contrast > Brightness"]


def test_wrong_arguments():
    for count in (0, 8):
        with pytest.raises(ValueError, match=f"transforms must hold 1 to 7 transforms, got {count}"):
            RandomOrder([Brightness()] * count)
    with pytest.raises(TypeError, match="a pipeline takes transforms"):
        RandomOrder(["brightness"])
    for wrong in (3, "carben"):
        with pytest.raises(TypeError, match=f"transforms must be a list of transforms, got {wrong!r}"):
            RandomOrder(wrong)
