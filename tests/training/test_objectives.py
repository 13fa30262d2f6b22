"""The objectives against closed forms, ART's own trainer and the authors' formulas."""

import numpy as np
import pytest
import torch
from art.defences.trainer import AdversarialTrainerTRADESPyTorch
from torch import Tensor, nn
from torch.nn import functional

from art_domainrand import PGD
from art_domainrand.training.trainer.objectives import OBJECTIVES, Views, divergence

from support.estimators import cnn
from support.trainer import trainable

CLASSES = 5


class Whole(nn.Module):
    """A network that is no Sequential: of one, ART's trainer takes the first layer's output for the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = cnn()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def views(n: int = 12, attacked: int | None = None, seed: int = 0) -> Views:
    """Random "images" that are their own scores."""
    generator = torch.Generator().manual_seed(seed)
    clean, first, second, adversarial = torch.randn(4, n, CLASSES, generator=generator).double() * 2
    y = torch.randint(CLASSES, (n,), generator=generator)
    return Views(clean, first, second, adversarial[:attacked], y)


def forward(*parts: Tensor) -> Tensor:
    return torch.cat(parts)


def value(name: str, batch: Views, weight: float | None = None) -> Tensor:
    objective = OBJECTIVES[name]
    weight = (objective.weight or 0.0) if weight is None else weight
    return objective.loss(forward, batch, functional.cross_entropy, weight)[0]


def test_madry_is_the_loss_on_adversarial_images_alone() -> None:
    batch = views()
    torch.testing.assert_close(value("madry", batch), functional.cross_entropy(batch.adversarial, batch.y))


def test_standard_takes_half_adversarial_a_quarter_randomized_and_a_quarter_clean() -> None:
    batch = views(12, attacked=6)
    expected = torch.cat((batch.adversarial, batch.randomized[6:9], batch.clean[9:]))
    loss, scores = OBJECTIVES["standard"].loss(forward, batch, functional.cross_entropy, 0.0)
    assert torch.equal(scores, expected)
    torch.testing.assert_close(loss, functional.cross_entropy(expected, batch.y))


def test_trades_is_the_natural_loss_plus_the_written_out_divergence() -> None:
    batch = views()
    p, q = batch.randomized.softmax(1), batch.adversarial.softmax(1)
    expected = functional.cross_entropy(batch.randomized, batch.y) + 6 * (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(value("trades", batch), expected)


def test_trades_takes_the_step_of_arts_own_trainer() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((10, 1, 8, 8)).astype(np.float32), rng.integers(0, 4, 10)
    theirs, ours = trainable(Whole(), 0.1), trainable(Whole(), 0.1)
    attack = {"eps": 0.1, "eps_step": 0.05, "max_iter": 3, "verbose": False}
    trainer = AdversarialTrainerTRADESPyTorch(theirs, PGD(theirs, **attack), beta=6.0)
    loss, _, _ = trainer._batch_process(x, y)

    adversarial = torch.from_numpy(PGD(ours, **attack).generate(x, y))
    images, labels = torch.from_numpy(x), torch.from_numpy(y)
    batch = Views(images, images, None, adversarial, labels)
    value, _ = OBJECTIVES["trades"].loss(
        lambda *parts: ours.model(torch.cat(parts)), batch, functional.cross_entropy, 6.0
    )
    value.backward()
    ours.optimizer.step()
    assert float(value.detach()) == pytest.approx(loss / 10, rel=1e-5)
    for mine, other in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_mart_is_the_formula_of_the_paper_row_by_row() -> None:
    batch = views()
    total = 0.0
    for natural, adversarial, y in zip(batch.randomized, batch.adversarial, batch.y, strict=True):
        p, q = natural.softmax(0), adversarial.softmax(0)
        rival = max(float(q[k]) for k in range(CLASSES) if k != int(y))
        boosted = -float(q[y].log()) - np.log(1 - rival)
        total += boosted + 5 * float((p * (p / q).log()).sum()) * (1 - float(p[y]))
    assert float(value("mart", batch)) == pytest.approx(total / len(batch.y))


def test_mart_with_two_classes_is_twice_the_cross_entropy_where_views_agree() -> None:
    scores, y = torch.tensor([[2.0, -1.0], [0.3, 0.1]]), torch.tensor([1, 0])
    batch = Views(scores, scores, None, scores, y)
    torch.testing.assert_close(value("mart", batch), 2 * functional.cross_entropy(scores, y))


def test_consistency_is_the_jensen_shannon_divergence_of_three_views() -> None:
    batch = views()
    assert batch.again is not None
    parts = [scores.softmax(1) for scores in (batch.clean, batch.randomized, batch.again)]
    middle = sum(parts) / 3
    apart = sum((p * (p / middle).log()).sum(1).mean() for p in parts) / 3
    losses = functional.cross_entropy(batch.clean, batch.y) + functional.cross_entropy(batch.adversarial, batch.y)
    torch.testing.assert_close(value("consistency", batch), losses + 12 * apart)


def test_augmix_is_the_clean_loss_and_the_divergence_as_the_authors_compute_it() -> None:
    """Twelve times the mean of three batch means of KL(p || M), M cut off at 1e-7."""
    batch = views()
    assert batch.again is not None
    parts = [scores.softmax(1) for scores in (batch.clean, batch.randomized, batch.again)]
    middle = torch.clamp(sum(parts) / 3, 1e-7, 1).log()
    apart = sum(functional.kl_div(middle, part, reduction="batchmean") for part in parts) / 3
    expected = functional.cross_entropy(batch.clean, batch.y) + 12 * apart
    torch.testing.assert_close(value("augmix", batch), expected, rtol=1e-6, atol=0)
    assert OBJECTIVES["augmix"].attacked == 0
    assert OBJECTIVES["augmix"].draws == 2


def test_the_divergences_of_equal_views_are_zero() -> None:
    batch = views()
    same = Views(batch.clean, batch.clean, batch.clean, batch.clean, batch.y)
    natural = functional.cross_entropy(batch.clean, batch.y)
    assert float(divergence(batch.clean, batch.clean).abs().max()) == 0
    assert torch.equal(value("trades", same), natural)
    torch.testing.assert_close(value("consistency", same), 2 * natural)
    torch.testing.assert_close(value("augmix", same), natural)


@pytest.mark.parametrize("name", ["trades", "mart", "consistency", "augmix"])
@pytest.mark.parametrize("size", [1.0, 40.0, 300.0])
def test_gradients_stay_finite_and_bounded_however_sure_the_model_is(name: str, size: float) -> None:
    """p log p, and log(1 - p) of a p that rounds to one, have derivatives that blow up if taken by themselves."""
    generator = torch.Generator().manual_seed(0)
    parts = [(torch.randn(6, CLASSES, generator=generator) * size).requires_grad_() for _ in range(4)]
    batch = Views(*parts, torch.randint(CLASSES, (6,), generator=generator))
    gradients = torch.autograd.grad(value(name, batch, 1.0), parts, allow_unused=True)
    for gradient in gradients:
        assert gradient is None or (gradient.isfinite().all() and gradient.abs().max() < 10 * size)


def test_the_accuracy_of_randomized_images_is_that_of_the_last_draw() -> None:
    """Which automatic domain randomization judges its boundaries by."""
    batch = views()
    last = {"trades": batch.randomized, "mart": batch.randomized, "consistency": batch.again, "augmix": batch.again}
    for name, expected in last.items():
        scores = OBJECTIVES[name].loss(forward, batch, functional.cross_entropy, 1.0)[1]
        assert torch.equal(scores, expected), name


def test_objectives_use_the_classifiers_own_loss() -> None:
    smooth = nn.CrossEntropyLoss(label_smoothing=0.3)
    batch = views(attacked=6)
    for name in ("standard", "madry", "trades", "consistency"):
        batch = views(attacked=6 if name == "standard" else None)
        plain, smoothed = (OBJECTIVES[name].loss(forward, batch, f, 1.0)[0] for f in (functional.cross_entropy, smooth))
        assert not torch.isclose(plain, smoothed), name
