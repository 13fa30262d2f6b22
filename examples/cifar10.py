"""A torchvision data set: a network on CIFAR-10, trained plainly and with domain randomization, under a shift of light.

Run with: python examples/cifar10.py [--root DIR]      (downloads 170 MB into DIR unless it is there already)
or with:  python examples/cifar10.py --folder DIR      (reads DIR/train/CLASS/*.jpg and DIR/test/CLASS/*.jpg)

Exit code 3 if CIFAR-10 is not there and cannot be downloaded.
"""

import argparse
import sys
from pathlib import Path

import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn
from torchvision.datasets import CIFAR10

from art_domainrand import DomainRandomization
from art_domainrand.data import from_torchvision, image_folder
from art_domainrand.evaluation import Clean, Randomized, evaluate, table
from art_domainrand.randomization import Brightness, Contrast, Flip, Gamma, Pipeline, Translation, WhiteBalance


def load(options, half, limit):
    """Read ``limit`` images of the "train" or the "test" half: from a folder if one is given, else CIFAR-10."""
    if options.folder:
        return image_folder(options.folder / half, size=32, limit=limit)
    try:
        return from_torchvision(CIFAR10(options.root.expanduser(), train=half == "train", download=True), limit=limit)
    except (OSError, RuntimeError) as error:  # urllib's and torchvision's ways to say that the download failed
        sys.stderr.write(f"CIFAR-10 could not be downloaded ({error}): go online once, or pass --folder.\n")
        sys.exit(3)


def train(data, epochs, defences=None):
    """Return an ART classifier; every epoch is a call of ``fit``, so that each has fresh random images."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten()]
    model, classes = nn.Sequential(*layers, nn.Linear(64 * 8 * 8, len(data.classes))), len(data.classes)
    options = {"optimizer": torch.optim.Adam(model.parameters()), "preprocessing_defences": defences}
    classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), (3, 32, 32), classes, clip_values=(0, 1), **options)
    for _ in range(epochs):
        classifier.fit(data.x, data.y, batch_size=128, nb_epochs=1)
    return classifier


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("~/.cache/cifar10"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--images", type=int, default=5000, help="images to train on; a fifth as many to test on")
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args()
    data, test = load(options, "train", options.images), load(options, "test", options.images // 5)
    light = DomainRandomization([Flip(), Translation(), Brightness(), Contrast(), WhiteBalance()], seed=0)
    models = {"plain": train(data, options.epochs), "randomized": train(data, options.epochs, light)}
    shift = Pipeline([WhiteBalance((-0.5, 0.5), (-0.3, 0.3)), Brightness((-0.3, 0.3)), Gamma((0.5, 2.0))])
    print(table(evaluate(models, {"clean": Clean(), "shift": Randomized(shift)}, test, seed=1, diagnosed=False).rows()))
