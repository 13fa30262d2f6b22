"""The networks of the strength benchmark: small ones, the shape TRADES published for MNIST, and what goes around."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

ANGLE = 15.0  # degrees
SCALE = 0.15
WINNERS = 0.2  # what share of a layer's units passes


def digits_net() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


class Winners(nn.Module):
    """Of every image the largest fifth of a layer's units pass, the others are zero (k-WTA, Xiao et al. 2020)."""

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(1)
        least = rows.topk(max(int(WINNERS * rows.shape[1]), 1), dim=1).values[:, -1:]
        return torch.where(rows >= least, rows, 0.0).view_as(x)


def winners_net() -> nn.Module:
    """The network for digits with k winners in place of ReLU."""
    return nn.Sequential(*(Winners() if isinstance(layer, nn.ReLU) else layer for layer in digits_net()))


def cifar_net() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128 * 16, 10)),
    )


class SmallCNN(nn.Module):
    """Four 3x3 convolutions without padding and three linear layers, with the names of TRADES' published MNIST network.

    Source: Zhang et al. 2019, "Theoretically principled trade-off between robustness and accuracy", its MNIST network.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        side = ((size - 4) // 2 - 4) // 2
        self.feature_extractor = nn.Sequential(
            OrderedDict(
                [
                    ("conv1", nn.Conv2d(channels, 32, 3)),
                    ("relu1", nn.ReLU()),
                    ("conv2", nn.Conv2d(32, 32, 3)),
                    ("relu2", nn.ReLU()),
                    ("maxpool1", nn.MaxPool2d(2)),
                    ("conv3", nn.Conv2d(32, 64, 3)),
                    ("relu3", nn.ReLU()),
                    ("conv4", nn.Conv2d(64, 64, 3)),
                    ("relu4", nn.ReLU()),
                    ("maxpool2", nn.MaxPool2d(2)),
                ]
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                [
                    ("fc1", nn.Linear(64 * side * side, 200)),
                    ("relu1", nn.ReLU()),
                    ("drop", nn.Dropout(0.5)),
                    ("fc2", nn.Linear(200, 200)),
                    ("relu2", nn.ReLU()),
                    ("fc3", nn.Linear(200, 10)),
                ]
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.feature_extractor(x).flatten(1))
        return scores


def small_cnn_grey() -> nn.Module:
    return SmallCNN(1, 28)


def small_cnn_colour() -> nn.Module:
    return SmallCNN(3, 32)


class Scaled(nn.Module):
    """A network whose scores are 500 times as large, so that its cross-entropy has next to no gradient."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(x) * 500
        return scores


class RandomInput(nn.Module):
    """A network that turns and resizes its input at random, anew at every call, as torch's global generator draws."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        angle, scale = ((torch.rand(2, len(x)) * 2 - 1) * torch.tensor([[ANGLE], [SCALE]])).to(x)
        turn, zero = torch.deg2rad(angle), torch.zeros_like(angle)
        a, b = turn.cos() / (1 + scale), turn.sin() / (1 + scale)
        matrix = torch.stack([a, -b, zero, b, a, zero], 1).view(-1, 2, 3)
        grid = nn.functional.affine_grid(matrix, list(x.shape), align_corners=False)
        scores: Tensor = self.net(nn.functional.grid_sample(x, grid, align_corners=False))
        return scores
