"""How the models of the strength benchmark are trained: plainly, on PGD examples, as TRADES is, or distilled."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from art_domainrand.data import LabelledImages

TRADES_BETA = 6.0
# TRADES starts from the image moved by so much Gaussian noise, where the divergence has a gradient.
TRADES_START = 1e-3
# Of defensive distillation: by so much are scores divided in training, and not afterwards.
TEMPERATURE = 40.0


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    :param rule: "plain", "pgd" (Madry et al. 2018), "trades" (Zhang et al. 2019) or "distilled" (Papernot et al. 2016).
    :param eps: Radius of the ball in training.
    :param norm: Its norm, inf or 2.
    :param epochs: Passes over the training images.
    :param steps: Attack steps for each batch.
    :param batch: Images at a time.
    :param rate: Adam's rate; the largest of its one cycle is twice as large.
    """

    rule: str
    epochs: int
    batch: int
    rate: float
    steps: int = 0
    eps: float = 0.0
    norm: float = float("inf")


def train(model: nn.Module, training: Training, images: LabelledImages, device: str = "cpu") -> nn.Module:
    """Train a model; eps grows over the first quarter of the epochs."""
    if training.rule == "distilled":
        return distilled(model, training, images, device)
    return fit(model, training, images, None, device)


def distilled(model: nn.Module, training: Training, images: LabelledImages, device: str) -> nn.Module:
    """Train a teacher on labels and the model on what it says, both at a temperature (Papernot et al. 2016)."""
    hot = replace(training, rule="hot")
    teacher = fit(deepcopy(model), hot, images, None, device)
    with torch.no_grad():
        said = (teacher(torch.from_numpy(images.x).to(device)) / TEMPERATURE).softmax(1)
    return fit(model, hot, images, said, device)


def fit(model: nn.Module, training: Training, images: LabelledImages, targets: Tensor | None, device: str) -> nn.Module:
    """Train a model on the labels, or on the probabilities ``targets`` (N, K) in place of them."""
    x, y = torch.from_numpy(images.x).to(device), torch.from_numpy(images.y).to(device)
    y = y if targets is None else targets
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), training.rate)
    total = training.epochs * -(-len(x) // training.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.rate * 2, total_steps=total)
    for epoch in range(training.epochs):
        eps = training.eps * min(1.0, (epoch + 1) / (training.epochs / 4))
        for rows in torch.randperm(len(x)).split(training.batch):
            rows = rows.to(device)
            loss = loss_of(model, x[rows], y[rows], training, eps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def loss_of(model: nn.Module, x: Tensor, y: Tensor, training: Training, eps: float) -> Tensor:
    """What one step of training lowers."""
    if training.rule == "plain":
        return nn.functional.cross_entropy(model(x), y)
    if training.rule == "hot":
        return nn.functional.cross_entropy(model(x) / TEMPERATURE, y)
    if training.rule == "pgd":
        adv = pgd(model, x, y, eps, training.steps, training.norm)
        return nn.functional.cross_entropy(model(adv), y)
    model.eval()
    adv = trades_examples(model, x, eps, training.steps, training.norm)
    model.train()
    scores = model(x)
    return nn.functional.cross_entropy(scores, y) + TRADES_BETA * divergence(model(adv), scores)


def pgd(model: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int, norm: float) -> Tensor:
    """Plain PGD for training, independent of the attacks that are measured; L-inf from a random start, L2 from x."""
    adv = (x + eps * (2 * torch.rand_like(x) - 1)).clamp(0, 1) if norm == float("inf") else x.clone()
    for _ in range(steps):
        adv = step(adv, x, lambda point: nn.functional.cross_entropy(model(point), y), eps, 2 * eps / steps, norm)
    return adv


def trades_examples(model: nn.Module, x: Tensor, eps: float, steps: int, norm: float) -> Tensor:
    """Images in the ball whose scores differ most from those of x."""
    with torch.no_grad():
        scores = model(x)
    adv = (x + TRADES_START * torch.randn_like(x)).clamp(0, 1)
    for _ in range(steps):
        adv = step(adv, x, lambda point: divergence(model(point), scores), eps, 2 * eps / steps, norm)
    return adv


def divergence(scores: Tensor, of: Tensor) -> Tensor:
    """The mean Kullback-Leibler divergence of the softmax of ``scores`` from that of ``of``."""
    return nn.functional.kl_div(scores.log_softmax(1), of.softmax(1), reduction="batchmean")


def step(adv: Tensor, x: Tensor, loss: Callable[[Tensor], Tensor], eps: float, size: float, norm: float) -> Tensor:
    """One step up the loss, back into the ball around x and into the box."""
    adv = adv.detach().requires_grad_()
    (grad,) = torch.autograd.grad(loss(adv), adv)
    if norm == float("inf"):
        return torch.clamp(adv.detach() + size * grad.sign(), x - eps, x + eps).clamp(0, 1)
    moved = adv.detach() + size * grad / length(grad).clamp_min(1e-12) - x
    return (x + moved * (eps / length(moved).clamp_min(1e-12)).clamp_max(1)).clamp(0, 1)


def length(batch: Tensor) -> Tensor:
    """The L2 norm of every image, to be broadcast."""
    return batch.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
