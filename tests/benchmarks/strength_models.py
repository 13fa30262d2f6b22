"""The models whose robustness the strength benchmarks measure, trained here once and kept in a folder of the user's.

Data are scikit-learn's digits and, where the archive is present, CIFAR-10 (an archive or a folder with ``train`` and
``test``). ``load`` gives a model by its name in ``MODELS``; ``published`` gives TRADES' MNIST network from its file.

Run ``python tests/benchmarks/strength_models.py --cache FOLDER [--cifar ARCHIVE] [--only NAME,...]`` to train them.
"""

import hashlib
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand.data import LabelledImages, digits, image_folder

from models import cifar_resnet18
from strength_nets import (
    RandomInput,
    Scaled,
    SmallCNN,
    cifar_net,
    digits_net,
    small_cnn_colour,
    small_cnn_grey,
    winners_net,
)
from strength_training import Training, train

INF = float("inf")
Radii = Mapping[float, float]
DIGITS_RADII: Radii = {INF: 0.1, 2: 1.5, 1: 10.0}
CIFAR_RADII: Radii = {INF: 8 / 255, 2: 0.5, 1: 8.0}
SUBSET = 8_000  # CIFAR images that a CPU can learn from in minutes
EVERY = 50_000


@dataclass(frozen=True)
class Recipe:
    """How a model comes to be, and the radii at which it is attacked.

    :param data: "digits" or "cifar".
    :param net: Makes the network.
    :param training: How it is trained; None takes the weights of the model ``of``.
    :param around: What is put around the trained network.
    :param inside: What is put around the network before it is trained.
    :param of: Whose weights it has.
    :param radii: eps for each norm.
    :param images: How many images it is trained on at most.
    """

    data: str
    net: Callable[[], nn.Module]
    training: Training | None
    radii: Radii
    around: Callable[[nn.Module], nn.Module] | None = None
    inside: Callable[[nn.Module], nn.Module] | None = None
    of: str | None = None
    images: int = SUBSET


def on_digits(rule: str, steps: int = 7, eps: float = 0.1, norm: float = INF, epochs: int = 25) -> Training:
    return Training(rule, epochs, 64, 1e-3, steps, eps, norm)


def on_cifar(rule: str, steps: int = 2, eps: float = 8 / 255, norm: float = INF, epochs: int = 6) -> Training:
    return Training(rule, epochs, 128, 2e-3, steps, eps, norm)


MODELS: dict[str, Recipe] = {
    "digits-plain": Recipe("digits", digits_net, on_digits("plain", epochs=15), {INF: 0.04, 2: 0.5, 1: 3.0}),
    "digits-pgd": Recipe("digits", digits_net, on_digits("pgd"), DIGITS_RADII),
    "digits-trades": Recipe("digits", digits_net, on_digits("trades"), DIGITS_RADII),
    "digits-l2": Recipe("digits", digits_net, on_digits("pgd", eps=1.5, norm=2), {INF: 0.1, 2: 2.0, 1: 14.0}),
    "digits-saturated": Recipe("digits", digits_net, None, DIGITS_RADII, around=Scaled, of="digits-pgd"),
    "digits-random": Recipe("digits", digits_net, on_digits("pgd"), DIGITS_RADII, inside=RandomInput),
    # Made to hide their gradients.
    "digits-winners": Recipe("digits", winners_net, on_digits("plain", epochs=15), {INF: 0.04, 2: 0.5, 1: 3.0}),
    "digits-distilled": Recipe("digits", digits_net, on_digits("distilled", epochs=15), {INF: 0.04, 2: 0.5, 1: 3.0}),
    "digits-smallcnn": Recipe(
        "digits", small_cnn_grey, on_digits("trades", steps=5, eps=0.2, epochs=20), {INF: 0.2, 2: 1.5, 1: 7.0}
    ),
    "cifar-plain": Recipe("cifar", cifar_net, on_cifar("plain", epochs=4), {INF: 1 / 255, 2: 0.15, 1: 2.0}),
    "cifar-pgd": Recipe("cifar", cifar_net, on_cifar("pgd"), CIFAR_RADII),
    "cifar-trades": Recipe("cifar", cifar_net, on_cifar("trades", epochs=5), CIFAR_RADII),
    "cifar-l2": Recipe("cifar", cifar_net, on_cifar("pgd", eps=0.5, norm=2), CIFAR_RADII),
    "cifar-saturated": Recipe("cifar", cifar_net, None, CIFAR_RADII, around=Scaled, of="cifar-pgd"),
    "cifar-random": Recipe("cifar", cifar_net, on_cifar("pgd"), CIFAR_RADII, inside=RandomInput),
    "cifar-smallcnn": Recipe("cifar", small_cnn_colour, on_cifar("trades", epochs=5), CIFAR_RADII),
    # Hours of a CPU: for an accelerator.
    "cifar-resnet18": Recipe("cifar", cifar_resnet18, on_cifar("pgd", steps=7, epochs=30), CIFAR_RADII, images=EVERY),
}
SLOW = {"cifar-resnet18"}


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, the images it is attacked on, and the radii.

    :param name: Its name in tables.
    :param net: The network, in evaluation mode.
    :param test: The images and labels.
    :param radii: eps for each norm.
    """

    name: str
    net: nn.Module
    test: LabelledImages
    radii: Radii = field(default_factory=dict)

    @property
    def eps(self) -> float:
        """The radius in L-inf."""
        return self.radii[INF]

    @cached_property
    def estimator(self) -> PyTorchClassifier:
        """The network as an ART estimator."""
        return classifier(self.net, self.test)

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device

    @cached_property
    def x(self) -> Tensor:
        return torch.from_numpy(self.test.x).to(self.device)

    @cached_property
    def y(self) -> Tensor:
        return torch.from_numpy(self.test.y).to(self.device)

    def accuracy(self, adv: Any) -> float:
        """The percentage of ``adv`` that is classified correctly."""
        return 100 * float(self.right(adv).float().mean())

    def right(self, adv: Any, batch: int = 500) -> Tensor:
        """Which of ``adv`` are classified correctly (N,)."""
        with torch.no_grad():
            scores = [self.net(part) for part in torch.as_tensor(adv, device=self.device).split(batch)]
        return torch.cat(scores).argmax(1) == self.y


def load(
    name: str, cache: Path | None = None, cifar: Path | None = None, images: int | None = None, device: str = "cpu"
) -> Model:
    """The model of this name in ``MODELS``, from the cache or trained now.

    :param name: Its name.
    :param cache: The folder where trained weights are kept; None keeps none.
    :param cifar: Archive or folder of CIFAR-10, for models that need it and are not yet in the cache.
    :param images: How many test images it is attacked on at most, the first ones; None for all.
    :param device: Where it is trained and stays.
    """
    recipe = MODELS[name]
    _, test = data(recipe.data, cifar, recipe.images, cache=cache)
    net = network(name, cache, cifar, device)
    return Model(name, net.to(device).eval(), test[: images or len(test)], recipe.radii)


def network(name: str, cache: Path | None, cifar: Path | None = None, device: str = "cpu") -> nn.Module:
    """The trained network of this name."""
    recipe = MODELS[name]
    if recipe.of is not None:
        net = network(recipe.of, cache, cifar, device)
    else:
        torch.manual_seed(0)
        net = recipe.net() if recipe.inside is None else recipe.inside(recipe.net())
        path = None if cache is None else weights_path(name, cache)
        if path is not None and path.exists():
            net.load_state_dict(torch.load(path, map_location=device))
        else:
            net = train(net, recipe.training, data(recipe.data, cifar, recipe.images, cache=cache)[0], device)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                torch.save(net.state_dict(), path)
    return net if recipe.around is None else recipe.around(net)


def weights_path(name: str, cache: Path) -> Path:
    """Where the weights of a model are kept: its name and a hash of how it is trained."""
    recipe = MODELS[name]
    inside = "" if recipe.inside is None else recipe.inside.__name__
    images = recipe.images if recipe.data == "cifar" else ""
    source = f"{recipe.data} {recipe.net.__name__} {inside} {recipe.training} {images}"
    return cache / f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:8]}.pt"


def published(
    weights: Path, images: Path, count: int = 1000, eps: float = 0.3, device: str = "cpu", offset: int = 0
) -> Model:
    """TRADES' published MNIST network on the first images of a file.

    :param weights: Its state dict, ``model_mnist_smallcnn.pt`` of TRADES' page.
    :param images: An npz file with ``x`` (N, 1, 28, 28) in [0, 1] and ``y`` (N,).
    :param count: How many images.
    :param eps: The L-inf radius.
    :param device: Where it is.
    :param offset: How many images are left out before them.
    """
    net = SmallCNN(1, 28)
    net.load_state_dict(torch.load(weights, map_location="cpu"))
    arrays = np.load(images)
    names = tuple(str(digit) for digit in range(10))
    part = slice(offset, offset + count)
    test = LabelledImages(arrays["x"][part].astype(np.float32), arrays["y"][part].astype(np.int64), names)
    return Model("mnist-trades-published", net.to(device).eval(), test, {INF: eps, 2: 2.0, 1: 10.0})


def data(
    name: str, cifar: Path | None, count: int = SUBSET, test: int = 1000, cache: Path | None = None
) -> tuple[LabelledImages, LabelledImages]:
    """Training and test images; CIFAR in a random subset of ``count`` and ``test``, kept as bytes in the cache."""
    if name == "digits":
        return digits()
    path = None if cache is None else cache / f"cifar-{count}-{test}.npz"
    if path is not None and path.exists():
        return from_bytes(path)
    if cifar is None or not cifar.exists():
        raise FileNotFoundError(f"--cifar must name the archive or folder of CIFAR-10, got {cifar}")
    found = read_cifar(cifar, count, test)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"classes": np.array(found[0].classes)}
        for part, images in zip(("train", "test"), found, strict=True):
            arrays |= {f"{part}_x": np.round(images.x * 255).astype(np.uint8), f"{part}_y": images.y}
        np.savez_compressed(path, **arrays)
    return found


def from_bytes(path: Path) -> tuple[LabelledImages, LabelledImages]:
    """Training and test images of a file of the cache."""
    kept = np.load(path)
    classes = tuple(str(name) for name in kept["classes"])
    train, test = (
        LabelledImages(kept[f"{part}_x"].astype(np.float32) / 255, kept[f"{part}_y"], classes)
        for part in ("train", "test")
    )
    return train, test


def read_cifar(root: Path, count: int, test: int) -> tuple[LabelledImages, LabelledImages]:
    """Training and test images of an archive or a folder."""
    with tempfile.TemporaryDirectory() as folder:
        if root.is_file():
            with tarfile.open(root) as archive:
                archive.extractall(folder, filter="data")
            root = Path(folder)
        return image_folder(root / "train", limit=count), image_folder(root / "test", limit=test)


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


def main(
    cache: Annotated[Path, typer.Option(help="keep trained models here")],
    cifar: Annotated[Path | None, typer.Option(help="archive or folder of CIFAR-10")] = None,
    only: Annotated[str, typer.Option(help="names, comma-separated; empty for all that a CPU can train")] = "",
    device: str = "cpu",
    threads: int = 1,
) -> None:
    """Train what is not in the cache yet, and print clean accuracies."""
    torch.set_num_threads(threads)
    for name in only.split(",") if only else [name for name in MODELS if name not in SLOW]:
        begin = time.perf_counter()
        model = load(name, cache, cifar, device=device)
        print(f"{name}: clean {model.accuracy(model.x):.1f}%, {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    typer.run(main)
