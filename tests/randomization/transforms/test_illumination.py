"""Light: gains at the places where they can be worked out."""

import math

import pytest
import torch

from art_domainrand.randomization import Pipeline, Shadow, UnevenIllumination, Vignette


def test_a_vignette_takes_its_strength_at_the_corner_and_nothing_at_the_centre():
    x = torch.ones(1, 1, 2001, 1001, dtype=torch.float64)
    changed = Pipeline(Vignette(0.6, 0.5, 0.5))(x)[0, 0]
    assert changed[1000, 500].item() == pytest.approx(1)
    # The corner of the image is half a pixel beyond the corner pixel's centre.
    for corner in (changed[0, 0], changed[-1, 0], changed[0, -1], changed[-1, -1]):
        assert corner.item() == pytest.approx(0.4, abs=1e-3)
    # cos^4 of the angle a ray makes, with the tangent growing as the distance.
    tangent = math.sqrt(0.4**-0.5 - 1)
    halfway = math.hypot(500, 0) / math.hypot(1000.5, 500.5)
    assert changed[1000, 1000].item() == pytest.approx(math.cos(math.atan(tangent * halfway)) ** 4, rel=1e-6)


def test_a_vignette_follows_the_centre_of_the_lens():
    changed = Pipeline(Vignette(0.9, 0.25, 0.75))(torch.ones(1, 1, 100, 100))[0, 0]
    assert changed.argmax().item() in {row * 100 + column for row in (74, 75) for column in (24, 25)}


@pytest.mark.parametrize(
    ("angle", "bright"), [(0, (slice(None), -1)), (90, (-1, slice(None))), (180, (slice(None), 0))]
)
def test_light_comes_from_the_side_the_angle_says(angle, bright):
    slope = math.log(2)
    changed = Pipeline(UnevenIllumination(slope, angle, 0.0))(torch.ones(1, 1, 100, 100, dtype=torch.float64))[0, 0]
    # The outermost pixel's centre is at 0.99 of the way.
    assert torch.allclose(changed[bright], torch.full((100,), 2**0.99, dtype=torch.float64))
    assert changed.log().mean().item() == pytest.approx(0, abs=1e-9), "as much light is taken as given, in logarithms"


def test_a_lamp_is_a_gaussian_of_its_radius():
    changed = Pipeline(UnevenIllumination(0.0, 0.0, 0.5, 0.5, 0.5, 0.2))(torch.ones(1, 1, 101, 101))[0, 0]
    assert changed[50, 50].item() == pytest.approx(math.exp(0.5))
    assert changed[50, 50 + 20].item() == pytest.approx(math.exp(0.5 * math.exp(-0.5 * (20 / 20.2) ** 2)))


def test_a_shadow_is_a_band_as_wide_as_said_with_the_share_of_light_gone():
    shadow = Shadow(strength=0.4, angle=0.0, position=0.5, width=0.2, softness=0.002)
    changed = Pipeline(shadow)(torch.ones(1, 1, 600, 800, dtype=torch.float64))[0, 0]
    assert torch.allclose(changed[300], torch.full((800,), 0.6, dtype=torch.float64))
    assert torch.allclose(changed[0], torch.ones(800, dtype=torch.float64))
    rows = (1 - changed[:, 0]).sum().item() / 0.4
    assert rows == pytest.approx(0.2 * 1000, abs=0.01), "the diagonal has 1000 pixels"


def test_a_shadow_at_the_end_touches_the_corner():
    shadow = Shadow(strength=1.0, angle=30.0, position=1.0, width=0.0, softness=0.01)
    wide = Shadow(strength=1.0, angle=30.0, position=1.0, width=0.1, softness=0.01)
    x = torch.ones(1, 1, 60, 80)
    assert torch.allclose(Pipeline(shadow)(x), x)
    changed = Pipeline(wide)(x)[0, 0]
    corners = [changed[0, 0], changed[0, -1], changed[-1, 0], changed[-1, -1]]
    assert sum(corner < 0.5 for corner in corners) == 1


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"strength must be >= 0 and <= 0.99, got values from 1 to 1"):
        Vignette(1.0)
    with pytest.raises(ValueError, match=r"radius must be >= 0\.001"):
        UnevenIllumination(radius=0.0)
    with pytest.raises(ValueError, match=r"softness must be >= 0\.001"):
        Shadow(softness=0.0)
