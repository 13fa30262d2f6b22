"""The models whose robustness the strength benchmark measures, trained here: undefended, adversarially trained, random.

Data are scikit-learn's digits and, where the archive is present, CIFAR-10 (``--cifar``, an archive or a folder with
``train`` and ``test``).
"""

import hashlib
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from art_domainrand.data import LabelledImages, digits, image_folder


@dataclass(frozen=True)
class Recipe:
    """The adversary's budget on the robust and on the undefended model, and how the models are trained."""

    eps: float
    eps_undefended: float
    net: Callable[[], nn.Module]
    epochs: int
    steps: int
    batch: int
    rate: float


def digits_net() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def cifar_net() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128 * 16, 10)),
    )


RECIPES = {
    "digits": Recipe(0.1, 0.2, digits_net, epochs=25, steps=7, batch=64, rate=1e-3),
    "cifar": Recipe(8 / 255, 8 / 255, cifar_net, epochs=8, steps=2, batch=128, rate=2e-3),
}


def data(name: str, cifar: Path | None, train: int = 12_000, test: int = 500) -> tuple[LabelledImages, LabelledImages]:
    """Training and test images; CIFAR in a subset that a CPU can learn from."""
    if name == "digits":
        return digits()
    if cifar is None or not cifar.exists():
        raise FileNotFoundError(f"--cifar must name the archive or folder of CIFAR-10, got {cifar}")
    with tempfile.TemporaryDirectory() as folder:
        root = cifar
        if cifar.is_file():
            with tarfile.open(cifar) as archive:
                archive.extractall(folder, filter="data")
            root = Path(folder)
        return image_folder(root / "train", limit=train), image_folder(root / "test", limit=test)


def train(recipe: Recipe, images: LabelledImages, *, adversarial: bool, seed: int = 0) -> nn.Module:
    """Train one model, on PGD examples from random starts if ``adversarial``; seconds to minutes on one thread."""
    torch.manual_seed(seed)
    x, y = torch.from_numpy(images.x), torch.from_numpy(images.y)
    model = recipe.net()
    epochs = recipe.epochs if adversarial else max(recipe.epochs * 3 // 5, 1)
    optimizer = torch.optim.Adam(model.parameters(), recipe.rate)
    total = epochs * -(-len(x) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate * 2, total_steps=total)
    for epoch in range(epochs):
        eps = recipe.eps * min(1.0, (epoch + 1) / (epochs / 4))
        for rows in torch.randperm(len(x)).split(recipe.batch):
            batch = pgd(model, x[rows], y[rows], eps, recipe.steps) if adversarial else x[rows]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), y[rows]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def pgd(model: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int) -> Tensor:
    """Plain L-inf PGD for training, independent of the attacks that are measured."""
    adv = (x + eps * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
    for _ in range(steps):
        adv.requires_grad_()
        (grad,) = torch.autograd.grad(nn.functional.cross_entropy(model(adv), y), adv)
        adv = torch.clamp(adv.detach() + 2.0 * eps / steps * grad.sign(), x - eps, x + eps).clamp(0, 1)
    return adv


def trained(name: str, adversarial: bool, images: LabelledImages, cache: Path | None) -> nn.Module:
    """A trained model, from ``cache`` if the same one was trained there before."""
    recipe = RECIPES[name]
    source = Path(__file__).read_bytes() + np.ascontiguousarray(images.x[:64]).tobytes()
    key = hashlib.sha256(source).hexdigest()[:12]
    path = None if cache is None else cache / f"{name}-{'adversarial' if adversarial else 'plain'}-{key}.pt"
    if path is not None and path.exists():
        model = recipe.net()
        model.load_state_dict(torch.load(path))
        return model.eval()
    model = train(recipe, images, adversarial=adversarial)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), path)
    return model


def classifier(model: nn.Module, images: LabelledImages, defences: Any = None) -> PyTorchClassifier:
    """The model as an ART estimator on the CPU or the GPU it is on."""
    device = "gpu" if next(model.parameters()).is_cuda else "cpu"
    return PyTorchClassifier(
        model,
        nn.CrossEntropyLoss(),
        images.x.shape[1:],
        len(images.classes),
        clip_values=(0, 1),
        preprocessing_defences=defences,
        device_type=device,
    )
