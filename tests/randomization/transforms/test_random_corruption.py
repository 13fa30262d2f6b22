"""RandomCorruption gives each image what ``corrupt`` gives it alone."""

import pytest
import torch

from art_domainrand.core.random import member_seeds
from art_domainrand.randomization import Draw, Pipeline
from art_domainrand.randomization.corruptions import COMMON, corrupt
from art_domainrand.randomization.transforms.random_corruption import RandomCorruption


def images(n, size=20):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_each_image_gets_the_corruption_its_draw_names():
    pipeline = Pipeline(RandomCorruption())
    x = images(75)
    place = (torch.arange(75) + 0.5) / 75
    u = torch.stack((place, (place * 15) % 1), dim=1)
    draw = Draw(u, torch.arange(75))
    changed = pipeline.apply(x, draw)
    seeds = member_seeds(draw.seeds, 0)
    for k in range(75):  # five severities of each of the fifteen, in order
        expected = corrupt(x[k : k + 1], list(COMMON)[k // 5], k % 5 + 1, seeds[k : k + 1])
        assert torch.equal(changed[k : k + 1], expected)


def test_all_corruptions_and_severities_are_drawn_equally_often():
    transform = RandomCorruption()
    u = Pipeline(transform).sample(6000, torch.Generator().manual_seed(0)).u
    values = transform.values(u, torch.zeros(6000, dtype=torch.int64))
    cases = (values["name"] * 15).long() * 5 + values["severity"].long() - 1
    counts = torch.bincount(cases, minlength=75)
    assert len(counts) == 75
    assert (counts - 80).abs().max() < 5 * 80**0.5


def test_values_outside_the_unit_range_are_taken_inside_a_pipeline():
    changed = Pipeline(RandomCorruption())(3 * images(30) - 1, torch.Generator().manual_seed(0))
    assert 0 <= changed.min() <= changed.max() <= 1


def test_slicing_commutes_bit_for_bit_and_a_draw_can_be_replayed():
    pipeline = Pipeline(RandomCorruption())
    x, draw = images(24), pipeline.sample(24, torch.Generator().manual_seed(2))
    whole = pipeline.apply(x, draw)
    assert torch.equal(whole, pipeline.apply(x, draw))
    for part in (slice(3, 4), slice(5, 17), [20, 2, 9]):
        assert torch.equal(pipeline.apply(x[part], draw[part]), whole[part])


def test_the_gradient_of_the_image_is_passed_through():
    pipeline = Pipeline(RandomCorruption(("fog", "jpeg_compression"), (1, 5)))
    x = images(4).requires_grad_()
    weight = images(4).flip(0)
    (pipeline(x) * weight).sum().backward()
    assert torch.equal(x.grad, weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ("fgo",)}, r"names must be among \['gaussian_noise', .*\], got 'fgo'"),
        ({"names": ()}, r"names must be a list of at least one corruption, got \(\)"),
        ({"names": "fog"}, "names must be a list of at least one corruption, got 'fog'"),
        ({"severity": 6}, "severity must be >= 1 and <= 5, got values from 6 to 6"),
    ],
)
def test_bad_arguments_name_the_rule_and_the_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomCorruption(**arguments)
