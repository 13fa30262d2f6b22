"""Two numbers where a range is one pair of them."""

import warnings

import pytest

from art_domainrand.randomization import TRANSFORMS, Brightness, Perspective, Rotation, Scale, Shear, Translation
from art_domainrand.randomization.core.distributions import Constant, Distribution


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Rotation(-10, 10), r"^mode must be .*, got 10; a range is one pair: Rotation\(\(-10, 10\)\)$"),
        (lambda: Rotation(10, -10, "nearest"), r"; a range is one pair: Rotation\(\(-10, 10\)\)$"),
        (lambda: Perspective(0, 0.3), r"; a range is one pair: Perspective\(\(0, 0.3\)\)$"),
        (lambda: Scale(-0.1, 0.1), r"^factor must be > 0.*; a range is one pair: Scale\(\(-0.1, 0.1\)\)$"),
        (lambda: Brightness(-0.1, 0.1), r"; a range is one pair: Brightness\(\(-0.1, 0.1\)\)$"),
    ],
)
def test_an_error_of_two_numbers_says_how_a_range_is_written(wrong, said):
    with pytest.raises((TypeError, ValueError), match=said):
        wrong()


@pytest.mark.parametrize("kind", [Translation, Shear, Scale])
def test_two_rising_numbers_that_mean_something_else_are_doubted(kind):
    first, second = next(iter(kind().parameters)), ("vertical" if kind is Scale else "y")
    with pytest.warns(RuntimeWarning, match=rf"{first}=0.9, {second}=1.1; a range is one pair: .*\(\(0.9, 1.1\)\)$"):
        found = kind(0.9, 1.1)
    assert (getattr(found, first), getattr(found, second)) == (Constant(0.9), Constant(1.1))


def test_numbers_by_name_pairs_and_equal_numbers_are_taken_as_they_are():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Translation(x=-0.1, y=0.1) != Translation((-0.1, 0.1))
        Translation(0.1, 0.1)
        Translation(0.2, -0.2)
        Rotation(3)
        Rotation((-10, 10), "nearest")


def begins_with_a_range(name):
    """Whether the first argument of a transform is one."""
    return isinstance(next(iter(vars(TRANSFORMS[name]()).values())), Distribution)


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if begins_with_a_range(name)])
def test_no_transform_takes_two_rising_numbers_in_silence(name):
    kind = TRANSFORMS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for low, high in ((-0.1, 0.1), (0.5, 1.5), (2, 5)):
            with pytest.raises((TypeError, ValueError, RuntimeWarning), match="a range is one pair"):
                kind(low, high)
