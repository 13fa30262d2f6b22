"""The common corruptions of Hendrycks and Dietterich (ICLR 2019), batched, seeded image by image, on the device."""

from art_domainrand.randomization.corruptions.suite import (
    COMMON,
    CORRUPTIONS,
    EXTRA,
    Corruption,
    CorruptionSuite,
    corrupt,
    image_seeds,
)

__all__ = ["COMMON", "CORRUPTIONS", "EXTRA", "Corruption", "CorruptionSuite", "corrupt", "image_seeds"]
