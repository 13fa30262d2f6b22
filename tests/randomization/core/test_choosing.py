"""Each image by its own member: the bits of computing all members for all images, at the price of one."""

from dataclasses import dataclass, field

import pytest
import torch

from art_domainrand.randomization import (
    DOMAINS,
    TRANSFORMS,
    Brightness,
    Draw,
    Gamma,
    GaussianNoise,
    OneOf,
    Pipeline,
    Sometimes,
    Uniform,
)
from art_domainrand.randomization.core.transform import PixelTransform

CLASSES = {**TRANSFORMS, **{f"domain_{name}": cls for name, cls in DOMAINS.items()}}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def by_selection(choice, images):
    """The definition: all members for all images, then one of the results for each."""
    picked = images[0]
    for k in range(1, len(images)):
        picked = torch.where((choice == k)[:, None, None, None], images[k], picked)
    return picked


def value_and_gradients(change, x, u):
    x, u = x.clone(memory_format=torch.preserve_format).requires_grad_(), u.clone().requires_grad_()
    y = change(x, u)
    weight = torch.linspace(-1, 1, y.numel()).view(y.shape)
    return y.detach(), *torch.autograd.grad((y * weight).sum(), (x, u))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", CLASSES)
def test_a_choice_has_the_bits_of_computing_every_member_and_its_gradients(name, layout):
    inner = OneOf([Gamma(), [GaussianNoise(), CLASSES[name]()]])
    whole = OneOf([CLASSES[name](), inner, Sometimes(CLASSES[name](), 0.5), Brightness()])
    x = torch.rand(9, 3, 19, 14, generator=seeded(1)).contiguous(memory_format=layout)
    draw = Pipeline(whole).sample(9, seeded(2))

    def chosen(x, u):
        return whole.apply(x, whole.values(u, draw.seeds))

    def selected(x, u):
        return every_member(whole, x, whole.values(u, draw.seeds))

    found, expected = value_and_gradients(chosen, x, draw.u), value_and_gradients(selected, x, draw.u)
    assert torch.equal(found[0], expected[0])
    # The last bit of a gradient may depend on the batch: slicing is promised for values.
    for gradient, reference in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-5, atol=1e-5)


def every_member(transform, x, values):
    if isinstance(transform, Sometimes):
        images = [x, every_member(transform.transform, x, values["0"])]
        return by_selection(values["gate"].long(), images)
    if isinstance(transform, OneOf):
        images = [every_member(t, x, values[str(k)]) for k, t in enumerate(transform.transforms)]
        choice = (values["selector"].detach() * len(images)).long()
        return by_selection(choice, images)
    return transform.apply(x, values)


@dataclass(frozen=True)
class Counted(PixelTransform):
    """Remembers how many images it was given."""

    seen: list = field(default_factory=list, compare=False)

    def apply(self, x, values):
        self.seen.append(len(x))
        return x + 1


def test_a_member_costs_as_many_images_as_chose_it():
    members = [Counted(), Counted(), Counted()]
    pipeline = Pipeline([OneOf(members, [1, 0, 3]), GaussianNoise()])
    draw = pipeline.sample(40, seeded())
    pipeline.apply(torch.rand(40, 1, 4, 4), draw)
    first = int((draw.u[:, 0] < 0.25).sum())
    assert [member.seen for member in members] == [[first], [], [40 - first]]
    gated = Counted()
    pipeline = Pipeline([Sometimes(gated, 0.3), GaussianNoise()])
    draw = pipeline.sample(40, seeded())
    pipeline.apply(torch.rand(40, 1, 4, 4), draw)
    assert gated.seen == [int((draw.u[:, 0] < 0.3).sum())]


@pytest.mark.parametrize("whole", [lambda m: OneOf([GaussianNoise(0.0), m], [1, 1e-9]), lambda m: Sometimes(m, 1e-9)])
def test_what_nobody_chose_has_the_gradient_zero_rather_than_none(whole):
    high = torch.tensor(0.3, requires_grad=True)
    pipeline = Pipeline([whole(GaussianNoise(Uniform(0.0, high))), GaussianNoise(0.0)])
    draw = pipeline.sample(4, seeded())
    u = draw.u.clone().requires_grad_()
    x = torch.rand(4, 1, 4, 4)
    changed = pipeline.apply(x, Draw(u, draw.seeds))
    assert torch.equal(changed, x)
    for gradient in torch.autograd.grad(changed.sum(), (high, u)):
        assert not gradient.any()


@pytest.mark.parametrize("whole", [OneOf([GaussianNoise(), Gamma()]), Sometimes(GaussianNoise())])
@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 0, 4), (2, 3, 4, 0), (2, 0, 3, 4, 4)])
def test_nothing_is_chosen_for_no_pixels(whole, shape):
    assert Pipeline([whole, TRANSFORMS["rotation"]()])(torch.zeros(shape)).shape == shape
    if shape[0] == 0:
        values = whole.values(torch.zeros(0, len(whole.parameters)), torch.zeros(0, dtype=torch.int64))
        assert whole.apply(torch.zeros(shape), values).shape == shape


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_result_is_never_the_input_itself(p):
    x = torch.rand(3, 1, 4, 4)
    changed = Sometimes(GaussianNoise(0.0), p)
    assert changed.apply(x, changed.values(torch.full((3, 2), 0.5), torch.arange(3))).data_ptr() != x.data_ptr()
