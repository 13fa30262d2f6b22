"""How long the common corruptions take: ours in batches against imagecorruptions, image by image, in one process.

    python tests/benchmarks/corruptions.py [--device cpu|cuda] [--batch 64] [--severity 3] [--rounds 5] [--json FILE]

Needs imagecorruptions, opencv-python-headless and scikit-image; the images are crops of 224 x 224 pixels from
scikit-learn's sample photographs. Times are milliseconds per image; every round runs both sides of a corruption once,
on one thread, timed by the process's own clock on the CPU. Next to the ratio stand the PSNR between the two results,
which means something where no chance is involved, and the ratios of their means and standard deviations.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import types
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_sample_image

from art_domainrand.randomization import CORRUPTIONS, corrupt

from measure import interleaved, print_table, ratio, surroundings, write

SIDE = 224
TARGET = 3.0


def load_peer() -> Any:
    """Import imagecorruptions 1.1.2 under packages newer than it: the names it misses are lent to it here."""
    import cv2
    import scipy.ndimage
    import skimage.color
    import skimage.filters
    import skimage.util

    cv2.setNumThreads(1)
    setattr(np, "float_", np.float64)  # noqa: B010 - a name that NumPy 2 has given up
    resources = types.ModuleType("pkg_resources")
    resources.resource_filename = lambda name, path: str(Path(sys.modules[name].__file__).parent / path)
    interpolation = types.ModuleType("scipy.ndimage.interpolation")
    interpolation.map_coordinates = scipy.ndimage.map_coordinates
    sys.modules |= {"pkg_resources": resources, "scipy.ndimage.interpolation": interpolation}
    peer = import_module("imagecorruptions")

    def gaussian(image: Any, sigma: Any, multichannel: bool = False, **options: Any) -> Any:
        return skimage.filters.gaussian(image, sigma=sigma, channel_axis=-1 if multichannel else None, **options)

    import_module("imagecorruptions.corruptions").gaussian = gaussian
    return peer


def photographs(count: int) -> np.ndarray:
    """Crops (count, 224, 224, 3), uint8, of scikit-learn's two photographs, at seeded places."""
    rng = np.random.default_rng(0)
    crops = []
    for index in range(count):
        picture = load_sample_image(("china.jpg", "flower.jpg")[index % 2])
        top, left = (rng.integers(0, size - SIDE) for size in picture.shape[:2])
        crops.append(picture[top : top + SIDE, left : left + SIDE])
    return np.stack(crops)


def compare(peer: Any, name: str, images: np.ndarray, options: argparse.Namespace) -> dict[str, Any]:
    """One row: times of both sides, and how alike their results are."""
    device = torch.device(options.device)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).contiguous().to(device)
    # Glass takes them a second for one image.
    theirs_of = images[:2] if name == "glass_blur" else images[:16]

    def theirs() -> np.ndarray:
        return np.stack([peer.corrupt(image, options.severity, name) for image in theirs_of])

    def ours() -> torch.Tensor:
        return corrupt(x, name, options.severity)

    np.random.seed(0)
    expected = theirs() / 255
    times = interleaved({"ours": ours, "theirs": theirs}, options.rounds, device)
    found = ours()[: len(expected)].permute(0, 2, 3, 1).cpu().numpy()
    middle, low, high = ratio(times, "theirs", "ours")
    per_image = len(x) / len(theirs_of)
    return {
        "corruption": name,
        "ours ms": statistics.median(times["ours"]) / len(x) * 1e3,
        "theirs ms": statistics.median(times["theirs"]) / len(theirs_of) * 1e3,
        "times faster": middle * per_image,
        "from": low * per_image,
        "to": high * per_image,
        "PSNR dB": -10 * math.log10(np.mean((found - expected) ** 2)),
        "mean ratio": float(found.mean() / expected.mean()),
        "std ratio": float(found.std() / expected.std()),
    }


def main() -> None:
    """Read the arguments, run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--severity", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--names", nargs="*", default=list(CORRUPTIONS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    peer, images = load_peer(), photographs(options.batch)
    rows = [compare(peer, name, images, options) for name in options.names]
    print_table(rows)
    mean = statistics.geometric_mean(row["times faster"] for row in rows)
    slower = [row["corruption"] for row in rows if row["times faster"] < TARGET]
    print(
        f"\ngeometric mean over {len(rows)}: {mean:.2f} times faster; below {TARGET:g}: {', '.join(slower) or 'none'}"
    )
    facts = {
        **surroundings(torch.device(options.device)),
        "batch": options.batch,
        "severity": options.severity,
        "rounds": options.rounds,
        "geometric_mean": mean,
        "below_target": slower,
        "rows": rows,
    }
    write(options.json, facts)


if __name__ == "__main__":
    main()
