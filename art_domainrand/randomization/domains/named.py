"""The table of named domains."""

from __future__ import annotations

from art_domainrand.randomization.domains.domain import Domain
from art_domainrand.randomization.domains.light import (
    Dusk,
    LowLightSensor,
    NearInfrared,
    Night,
    Overexposed,
    Underwater,
)
from art_domainrand.randomization.domains.media import Cartoon, LowBandwidth, PrintAndScan, SimTexture, Sketch
from art_domainrand.randomization.domains.sky import Foggy, Rainy, Snowy
from art_domainrand.randomization.domains.tone import Grey, Negative, Sepia, Thermal

DOMAINS: dict[str, type[Domain]] = {
    "night": Night,
    "dusk": Dusk,
    "overexposed": Overexposed,
    "low_light_sensor": LowLightSensor,
    "fog": Foggy,
    "rain": Rainy,
    "snow": Snowy,
    "thermal": Thermal,
    "near_infrared": NearInfrared,
    "grayscale": Grey,
    "negative": Negative,
    "sepia": Sepia,
    "sketch": Sketch,
    "cartoon": Cartoon,
    "low_bandwidth": LowBandwidth,
    "print_and_scan": PrintAndScan,
    "underwater": Underwater,
    "sim_texture": SimTexture,
}
"""Name -> class; each can be called without arguments, and is a transform that fits into any pipeline."""
