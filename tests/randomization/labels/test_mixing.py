"""MixUp and CutMix: pure functions of a draw, labels that add up, and ART's losses."""

import pickle
import random

import numpy as np
import pytest
import torch
from scipy import stats

from art_domainrand.randomization import MIXING, CutMix, MixUp
from art_domainrand.randomization.labels.mixing import partners, symmetric_beta


def batch(n=12, channels=3, side=16, classes=5):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, channels, side, side, generator=generator), torch.arange(n) % classes


def draw_for(mixing, n, seed=0):
    return mixing.sample(n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", MIXING)
def test_same_draw_same_bits_and_no_global_generator(name):
    mixing, (x, y) = MIXING[name](), batch()
    draw, copies = draw_for(mixing, 12), (x.clone(), y.clone())
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    first, again = mixing.mix(x, y, draw, 5), pickle.loads(pickle.dumps(mixing)).mix(x, y, draw, 5)
    mixing.sample(3)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    assert before[2] == random.getstate()
    assert torch.equal(x, copies[0])
    assert torch.equal(y, copies[1])


@pytest.mark.parametrize("name", MIXING)
def test_labels_are_probabilities_with_the_weight_of_the_pixels(name):
    # Image k is flat with value k, so a mixed image's mean says how much of which image it holds.
    mixing, n = MIXING[name](), 8
    x = torch.arange(n, dtype=torch.float64).view(n, 1, 1, 1).expand(n, 1, 10, 14).contiguous()
    mixed, soft = mixing.mix(x, torch.arange(n), draw_for(mixing, n), n)
    torch.testing.assert_close(soft.sum(1), torch.ones(n, dtype=torch.float64))
    assert (soft >= 0).all()
    torch.testing.assert_close(mixed.mean((1, 2, 3)), soft @ torch.arange(n, dtype=torch.float64))


@pytest.mark.parametrize("name", MIXING)
def test_probabilities_may_be_given(name):
    mixing, (x, y) = MIXING[name](), batch()
    rows = torch.nn.functional.one_hot(y, 5).float()
    by_index, by_row = (
        mixing.mix(x, *labels) for labels in ((y, draw_for(mixing, 12), 5), (rows, draw_for(mixing, 12)))
    )
    assert torch.equal(by_index[1], by_row[1])


@pytest.mark.parametrize("n", [2, 3, 50])
def test_everyone_has_one_partner_and_none_is_its_own(n):
    found = partners(torch.rand(n, generator=torch.Generator().manual_seed(n)))
    assert sorted(found.tolist()) == list(range(n))
    assert (found != torch.arange(n)).all()


def test_a_single_image_is_mixed_with_itself():
    x, y = batch(1)
    for mixing in (MixUp(), CutMix()):
        mixed, soft = mixing.mix(x, y, draw_for(mixing, 1), 5)
        torch.testing.assert_close(mixed, x)
        torch.testing.assert_close(soft, torch.tensor([[1.0, 0, 0, 0, 0]]))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_share_is_beta_distributed(alpha):
    u = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    share = symmetric_beta(u, alpha)
    np.testing.assert_allclose(share, stats.beta(alpha, alpha).ppf(u), atol=1e-3)
    assert torch.autograd.gradcheck(lambda u: symmetric_beta(u, alpha), (u[::501].requires_grad_(),), eps=1e-7)


def test_a_cut_is_a_rectangle_of_the_images_aspect():
    mixing, n = CutMix(), 6
    x = torch.zeros(n, 1, 30, 60, dtype=torch.float64)
    draw = draw_for(mixing, n)
    x[partners(draw.u[:, 0])[0]] = 1  # what the first image gets pasted in
    pasted = mixing.mix(x, torch.arange(n), draw, n)[0][0, 0]
    area = pasted.mean().item()
    assert 0 < area < 1
    rows, columns = pasted.amax(1), pasted.amax(0)
    torch.testing.assert_close(pasted, rows[:, None] * columns / pasted.max())
    assert rows.sum().item() / 30 == pytest.approx(area**0.5, rel=1e-6)
    assert columns.sum().item() / 60 == pytest.approx(area**0.5, rel=1e-6)


@pytest.mark.parametrize("name", MIXING)
def test_the_gradient_reaches_both_images(name):
    mixing, (x, y) = MIXING[name](), batch()
    x.requires_grad_()
    mixed, soft = mixing.mix(x, y, draw_for(mixing, 12), 5)
    (gradient,) = torch.autograd.grad(mixed.sum(), x)
    assert not soft.requires_grad
    # Every pixel of every image ends up in two places with weights that add up over the batch.
    assert gradient.sum().item() == pytest.approx(x.numel(), rel=1e-5)


def test_arts_cross_entropy_takes_the_labels(classifier):
    mixing = MixUp(1.0)
    x, y = torch.rand(6, 1, 8, 8), torch.arange(6) % 4
    mixed, soft = mixing.mix(x, y, draw_for(mixing, 6), 4)
    loss = classifier.compute_loss(mixed.numpy(), soft.numpy(), reduction="none")
    with torch.no_grad():
        logits = classifier.model(mixed)
        logits = logits[-1] if isinstance(logits, list) else logits
    expected = -(soft * torch.log_softmax(logits, 1)).sum(1)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    gradient = classifier.loss_gradient(mixed.numpy(), soft.numpy())
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).sum() > 0


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (torch.arange(12), None, "classes must be the number of classes where y holds indices, got None"),
        (torch.rand(12, 5), 4, "classes must be 5, the columns of y, got 4"),
        (torch.rand(12), 5, "y must be 12 class indices or"),
        (torch.arange(3), 5, "y must be 12 class indices or"),
        (torch.arange(12), 11, "y must hold class indices from 0 to 10, got 0 to 11"),
        (torch.arange(12) - 1, 12, "y must hold class indices from 0 to 11, got -1 to 10"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, classes, message):
    mixing = MixUp()
    with pytest.raises(ValueError, match=message):
        mixing.mix(batch()[0], labels, draw_for(mixing, 12), classes)


@pytest.mark.parametrize("name", MIXING)
def test_all_frames_of_a_clip_are_mixed_alike(name):
    mixing, (frames, y) = MIXING[name](), batch(20)
    draw, clips = draw_for(mixing, 4), frames.view(4, 5, 3, 16, 16)
    mixed, soft = mixing.mix(clips, y[:4], draw, 5)
    for k in range(5):
        image, labels = mixing.mix(clips[:, k], y[:4], draw, 5)
        assert torch.equal(mixed[:, k], image)
        assert torch.equal(soft, labels)


def test_images_that_cannot_be_mixed_are_refused():
    x, y = batch()
    for bad in (x.numpy(), (x * 255).byte(), x[0], x[:, None, None]):
        with pytest.raises(ValueError, match=r"x must be a floating \(B, C, H, W\) or \(B, T, C, H, W\) tensor, got"):
            MixUp().mix(bad, y, draw_for(MixUp(), 12), 5)


def test_bad_alphas_and_draws_are_refused():
    with pytest.raises(ValueError, match=r"alpha must be finite and >= 0\.01, got 0"):
        MixUp(0)
    x, y = batch()
    with pytest.raises(ValueError, match=r"draw must be for 12 images with 4 coordinates each, got \(12, 2\)"):
        CutMix().mix(x, y, draw_for(MixUp(), 12), 5)
