"""Examples that can be stored in 8 bits: on the levels, in the ball, and counted as they are stored."""

import numpy as np
import pytest
import torch

from art_domainrand import FGSM, PGD, AutoPGD, StrongestAttack
from art_domainrand.attacks.engine.quantize import to_levels
from art_domainrand.core.norms import ball

from support.attacks import RowWise, distance, fooled, margins, predicted, some_images
from support.estimators import wrap

NORMS = {np.inf: 5 / 255, 2: 0.3, 1: 2.0}


def stored(n=20, low=0.0, high=1.0):
    levels = np.round(some_images(n) * 255)
    return (low + levels * ((high - low) / 255)).astype(np.float32)


def attacks(classifier, norm, eps):
    options = {"quantize": True, "seed": 0}
    pgd = {"eps_step": eps / 4, "max_iter": 8, "verbose": False} | options
    return [
        PGD(classifier, norm, eps, **pgd),
        PGD(classifier, norm, eps, early_stop=True, keep_best=True, num_random_init=2, **pgd),
        FGSM(classifier, norm, eps, **options),
        AutoPGD(classifier, norm, eps, max_iter=8, nb_random_init=1, verbose=False, **options),
        StrongestAttack(classifier, norm, eps, budget="quick", verbose=False, **options),
    ]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-2.0, 3.0)])
@pytest.mark.parametrize("norm", NORMS)
def test_results_are_on_the_levels_and_in_the_ball(norm, low, high):
    classifier, x = wrap(RowWise(), clip_values=(low, high)), stored(8, low, high)
    y, eps = predicted(classifier, x), NORMS[norm] * (high - low)
    for attack in attacks(classifier, norm, eps):
        adv = attack.generate(x, y)
        level = (adv.astype(np.float64) - low) / (high - low) * 255
        assert np.abs(level - level.round()).max() < 1e-3
        assert (distance(adv, x, norm) <= eps * (1 + 1e-5) + 1e-6).all()
        assert (adv[adv == x].view(np.int32) == x[adv == x].view(np.int32)).all()
        assert (adv != x).any()


def test_whole_levels_of_the_budget_are_used():
    """8/255 is eight levels although float arithmetic may say 7.999..., and 8.9/255 is eight too."""
    x = torch.from_numpy(stored(4))
    low, high = torch.tensor(0.0), torch.tensor(1.0)
    for eps, levels in ((8 / 255, 8), (8.9 / 255, 8), (0.9 / 255, 0)):
        space = ball(np.inf, x, eps, low, high)
        adv = to_levels(space.settle(space.project(x + 1)), space)
        assert torch.equal(((adv - x) * 255).round(), torch.full_like(x, levels))
        assert torch.allclose((adv * 255).round().to(torch.uint8).float() / 255, adv, rtol=0, atol=1e-7)


def test_what_counts_as_success_is_the_rounded_image():
    """The unrounded end is fooled more often than its rounding; the attack goes on until the rounding is."""
    classifier, x = wrap(RowWise()), stored(60)
    y = predicted(classifier, x)
    options = {"eps": 2 / 255, "eps_step": 0.3 / 255, "max_iter": 12, "loss": "margin", "verbose": False}
    stops = PGD(classifier, early_stop=True, **options).generate(x, y)
    after = (np.round(stops * 255) / 255).astype(np.float32)
    lost = fooled(classifier, stops, y) & ~fooled(classifier, after, y)
    assert lost.any(), "rounding undid no success: the test is empty"
    adv = PGD(classifier, early_stop=True, quantize=True, **options).generate(x, y)
    eight_bit = np.round(adv * 255).astype(np.uint8)
    assert np.array_equal((eight_bit / np.float32(255)).astype(np.float32).round(6), adv.round(6))
    assert fooled(classifier, adv, y)[lost].mean() > 0.5
    full = PGD(classifier, quantize=True, keep_best=True, **options).generate(x, y)
    last = PGD(classifier, quantize=True, **options).generate(x, y)
    assert (margins(classifier, full, y) >= margins(classifier, last, y) - 1e-6).all()


def test_images_off_the_levels_are_refused_before_the_work():
    classifier, x = wrap(RowWise()), stored(9)
    x[7, 0, 2, 3] += 0.4 / 255
    seen = []
    classifier.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].requires_grad))
    attack = PGD(classifier, eps=0.1, eps_step=0.02, max_iter=3, quantize=True, batch_size=4, verbose=False)
    with pytest.raises(ValueError, match="x must hold 8-bit levels of clip_values with quantize, got 0"):
        attack.generate(x, np.zeros(9, int))
    assert not any(seen)


def test_levels_need_clip_values():
    classifier = wrap(RowWise(), clip_values=None)
    with pytest.raises(ValueError, match="clip_values must be given with quantize"):
        PGD(classifier, eps=0.1, eps_step=0.02, max_iter=3, quantize=True, verbose=False).generate(stored(2))


def test_masked_pixels_keep_their_bits():
    classifier, x = wrap(RowWise()), stored(3)
    mask = np.zeros((8, 8), dtype=bool)
    mask[3:] = True
    adv = PGD(classifier, eps=0.05, eps_step=0.02, max_iter=3, quantize=True, verbose=False).generate(x, mask=mask)
    assert np.array_equal(adv[..., :3, :], x[..., :3, :])
    assert (adv[..., 3:, :] != x[..., 3:, :]).any()
