"""Expectation over transformation by hand: attack a classifier that randomizes its input at every prediction.

Run with: python examples/eot_by_hand.py
"""

import torch
from torch import nn

from art_domainrand.data import digits
from art_domainrand.randomization import Brightness, GaussianNoise, Pipeline, Rotation, Translation

EPS, STEPS = 0.1, 20


def train(data, pipeline):
    """Return a network trained on images that are randomized afresh in every epoch."""
    model = nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 12 * 12, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    for _ in range(15):
        for rows in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(model(pipeline(x[rows])), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval().requires_grad_(False)


def eot_pgd(model, pipeline, x, y, draws, generator):
    """PGD on the mean loss over ``draws`` random versions of each image, all in one batch."""
    adversarial = x.clone()
    for _ in range(STEPS):
        adversarial.requires_grad_()
        draw = pipeline.sample(draws * len(x), generator)  # fresh in every step; one kept would overfit to it
        views = pipeline.apply(adversarial.repeat(draws, 1, 1, 1), draw)
        loss = nn.functional.cross_entropy(model(views), y.repeat(draws))
        (gradient,) = torch.autograd.grad(loss, adversarial)
        step = adversarial.detach() + EPS / 4 * gradient.sign()
        adversarial = step.clamp(x - EPS, x + EPS).clamp(0, 1)
    return adversarial


def main() -> None:
    """Print the accuracy under EOT with 1 and with 16 draws, judged on draws that the attack never saw."""
    torch.manual_seed(0)
    pipeline = Pipeline([Rotation((-20, 20)), Translation(), Brightness((-0.2, 0.2)), GaussianNoise((0.0, 0.1))])
    data, test = digits()
    model = train(data, pipeline)
    x, y = torch.from_numpy(test.x[:128]), torch.from_numpy(test.y[:128])
    judge = pipeline.sample(10 * len(x), torch.Generator().manual_seed(1))
    for draws in (0, 1, 16):  # 0: no attack
        images = eot_pgd(model, pipeline, x, y, draws, torch.Generator().manual_seed(2)) if draws else x
        views = pipeline.apply(images.repeat(10, 1, 1, 1), judge)
        accuracy = (model(views).argmax(1) == y.repeat(10)).float().mean()
        print(f"draws of the attack: {draws:2}, accuracy: {accuracy:.3f}")


if __name__ == "__main__":
    main()
