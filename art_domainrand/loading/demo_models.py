"""Two of the demo's networks, for an evaluation of nothing of one's own."""

from __future__ import annotations

from typing import Any

from art_domainrand.data import digits
from art_domainrand.demo.recipes import RECIPES
from art_domainrand.demo.training import private_randomness, train_all

SHOWCASE = ("standard", "adversarial")
"""Which: one that is not robust, and one that is."""

SHOWCASE_EPOCHS = 5
"""A sixth of the demo's: enough to tell the two apart."""


def demo_models(size: int = 28, seed: int = 0, *, verbose: bool = False) -> dict[str, Any]:
    """Train two of the demo's networks on digits, in seconds; nothing is kept.

    :param size: the side of an image in pixels.
    :param seed: of the weights, the order of the data and the attacks in training; the split of the data is always the
        same one, so that the test images were never seen.
    :param verbose: show progress bars.
    """
    data, _ = digits(size)
    recipes = {name: RECIPES[name] for name in SHOWCASE}
    with private_randomness(seed):
        return dict(train_all(recipes, data, seed, epochs=SHOWCASE_EPOCHS, verbose=verbose))
