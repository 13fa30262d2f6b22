"""What it is worth that one draw moves RGB and depth together: a small RGB-D network on synthetic scenes.

The colour of the nearer of two objects is to be told, which neither modality knows alone. All rows train the same
network on the same scenes in the same order, with the same ranges. Shifted scenes are made by SciPy, not by what was
trained with: turned further than in training, or seen by a camera that is nearer or farther than any in training, where
objects are larger or smaller and their distances shorter or longer. The test scenes choose nothing.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import affine_transform
from torch import Tensor, nn

from art_domainrand import MultiModal
from art_domainrand.randomization import Brightness, DepthModality, Flip, GaussianNoise, Hue, Pipeline, Rotation, Scale
from art_domainrand.scenes import Scenes, shape_scenes

Pictures = Mapping[str, Tensor]
Intervals = tuple[tuple[float, float], ...]
SIZE = 16
COLOURS = [Hue((-15, 15)), Brightness((-0.1, 0.1)), GaussianNoise((0, 0.05))]
NOISE = GaussianNoise((0, 0.02))
MOVES = [Rotation((-30, 30)), Scale((0.7, 1.4)), Flip()]
TURNS, NEARINGS = ((-60, -35), (35, 60)), ((0.5, 0.65), (1.5, 1.8))


def apart(pictures: Pictures, generator: torch.Generator) -> Pictures:
    """Each modality moved by a draw of its own, as two pipelines side by side do."""
    pipelines = {"rgb": Pipeline([*MOVES, *COLOURS]), "depth": Pipeline([*MOVES, NOISE])}
    return {name: pipeline(pictures[name], generator) for name, pipeline in pipelines.items()}


RANDOMIZATIONS: dict[str, Callable[[Pictures, torch.Generator], Pictures]] = {
    "none": lambda pictures, generator: pictures,
    "colours and noise alone": MultiModal({"rgb": COLOURS, "depth": DepthModality(NOISE)}),
    "each modality moved by its own draw": apart,
    "one draw, depth read as an image": MultiModal({"rgb": COLOURS, "depth": NOISE}, MOVES),
    "one draw, depth as depth": MultiModal({"rgb": COLOURS, "depth": DepthModality(NOISE)}, MOVES),
    "one draw, nearer is larger": MultiModal(
        {"rgb": COLOURS, "depth": DepthModality(NOISE, magnified="divided")}, MOVES
    ),
}


def stacked(pictures: Pictures) -> Tensor:
    """RGB and depth as the channels of one image, clipped."""
    return torch.cat([pictures["rgb"], pictures["depth"]], dim=1).clamp(0, 1)


def tensors(scenes: Scenes) -> Pictures:
    """The two modalities that the network sees."""
    return {"rgb": torch.from_numpy(scenes.rgb), "depth": torch.from_numpy(scenes.depth)}


def trained(scenes: Scenes, randomize: Callable[..., Pictures], seed: int, epochs: int) -> nn.Module:
    """A small network, trained on fresh draws."""
    torch.manual_seed(seed)
    layers = nn.Conv2d(4, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 1), nn.ReLU(), nn.AdaptiveMaxPool2d(1)
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    orders, draws = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1000)
    pictures, y = tensors(scenes), torch.from_numpy(scenes.y)
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=orders).split(32):
            batch = {name: x[rows] for name, x in pictures.items()}
            loss = nn.functional.cross_entropy(net(stacked(randomize(batch, draws))), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def shifted(
    scenes: Scenes, turns: tuple[tuple[float, float], ...], nearings: tuple[tuple[float, float], ...]
) -> Tensor:
    """Scenes turned by degrees out of one of the ``turns``, seen by a camera nearer by a factor of the ``nearings``."""
    random = np.random.default_rng(0)
    images = []
    for rgb, depth in zip(scenes.rgb, scenes.depth, strict=True):
        degrees, nearer = (random.uniform(*ranges[random.integers(len(ranges))]) for ranges in (turns, nearings))
        angle = np.deg2rad(degrees)
        back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / nearer
        moved = [_moved(plane, back, 1) for plane in rgb] + [_moved(depth[0], back, 0) / nearer]
        images.append(np.stack(moved))
    return torch.from_numpy(np.stack(images).astype(np.float32)).clamp(0, 1)


def _moved(plane: NDArray[np.float32], back: NDArray[np.float64], order: int) -> NDArray[np.float32]:
    centre = (np.array(plane.shape) - 1) / 2
    moved: NDArray[np.float32] = affine_transform(plane, back, centre - back @ centre, order=order)
    return moved


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="learned.py modal", description=__doc__)
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    test = shape_scenes(1000, SIZE, first=10**6)
    y = torch.from_numpy(test.y)
    cases = {
        "clean": stacked(tensors(test)),
        "turned": shifted(test, TURNS, ((1.0, 1.0),)),
        "nearer or farther": shifted(test, ((0.0, 0.0),), NEARINGS),
    }
    print("| randomization |" + "".join(f" {name} |" for name in cases))
    print("|---|" + "---:|" * len(cases))
    for name, randomize in RANDOMIZATIONS.items():
        found = []
        for seed in range(options.seeds):
            # Other scenes for every seed, none of them tested.
            net = trained(shape_scenes(options.scenes, SIZE, first=10_000 * seed), randomize, seed, options.epochs)
            with torch.no_grad():
                found.append([100 * float((net(x).argmax(1) == y).float().mean()) for x in cases.values()])
        columns = [(statistics.mean(v), statistics.stdev(v) if len(v) > 1 else 0.0) for v in zip(*found, strict=True)]
        print(f"| {name} |" + "".join(f" {mean:.1f} ± {spread:.1f} |" for mean, spread in columns), flush=True)
