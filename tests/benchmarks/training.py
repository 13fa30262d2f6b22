"""How long robust training takes and what comes of it.

Run ``python tests/benchmarks/training.py [--part speed|combined] [--cifar ARCHIVE] [--train 4000] [--epochs 6]
[--seeds 0,1,2] [--device cuda] [--json FILE]``. Without ``--cifar`` the digits are used. "speed" trains the same
network from the same weights by ART's trainer with its PGD and ours, and by our trainer; "combined" trains it on
adversarial images alone and together with domain randomization. Accuracies are percentages on held-out images: clean,
under PGD-20 with a random start, on the 19 corruptions at severity 3 (all, and those whose kind no training holds) and
under a domain shift that no training saw.
"""

import copy
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.defences.trainer import AdversarialTrainer
from art.estimators.classification import PyTorchClassifier
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand import PGD, DomainAdversarialTrainer, DomainRandomization
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.data import LabelledImages

import measure
import strength_models as models
from models import cifar_resnet10

# What randomizes in training: position and light, each of some images only, and mildly: low contrast makes an
# adversary's budget larger than it is. SHIFT holds none of its kinds, and of the corruptions brightness, contrast and
# saturate alone change the light as it does.
TRAINING_DOMAIN = R.Pipeline(
    [
        R.Sometimes(R.Flip(), 0.5),
        R.Sometimes([R.Rotation((-10.0, 10.0)), R.Scale((0.9, 1.1)), R.Translation((-0.1, 0.1))], 0.5),
        R.Sometimes([R.Brightness((-0.12, 0.12)), R.Contrast(R.LogUniform(0.4, 1.2))], 0.3),
    ]
)
USUAL = R.Pipeline([R.Sometimes(R.Flip(), 0.5), R.Translation((-0.125, 0.125))])
SHIFT = R.Pipeline([R.Perspective(0.3), R.Shear((-15.0, 15.0)), R.Gamma((0.5, 2.0)), R.Occlusion()])
TRAINED_KINDS = {"brightness", "contrast", "saturate"}


@dataclass(frozen=True)
class Setting:
    """A network and how it is trained: on PGD of ``steps`` steps of ``step`` eps from a random start."""

    net: Callable[[], nn.Module]
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    eps: float
    batch: int
    steps: int = 5
    step: float = 0.5

    def attack(self) -> dict[str, Any]:
        """What the attacks of all sides are given."""
        size = self.step * self.eps
        common = {"num_random_init": 1, "batch_size": self.batch, "verbose": False}
        return {"eps": self.eps, "eps_step": size, "max_iter": self.steps} | common


def small(name: str) -> Setting:
    """What a CPU can train."""
    recipe = models.MODELS[f"{name}-pgd"]
    training = recipe.training
    return Setting(recipe.net, lambda weights: torch.optim.Adam(weights, training.rate), training.eps, 128)


def sgd(weights: Iterable[nn.Parameter], rate: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, rate, momentum=0.9, weight_decay=5e-4, nesterov=True)


SETTINGS = {
    "digits": small("digits"),
    "cifar": small("cifar"),
    "cifar on a GPU": Setting(cifar_resnet10, sgd, 8 / 255, 256),
    # As many epochs as fit into minutes: a stem of stride 2, and two steps instead of five.
    "cifar on a GPU, combined": Setting(
        partial(cifar_resnet10, stride=2), partial(sgd, rate=0.2), 8 / 255, 512, steps=2, step=0.75
    ),
}

Fit = Callable[[PyTorchClassifier, LabelledImages, int, int, Setting], None]


def with_arts_trainer(attack: type) -> Fit:
    """ART's AdversarialTrainer on adversarial images alone."""

    def fit(classifier: PyTorchClassifier, data: LabelledImages, epochs: int, seed: int, setting: Setting) -> None:
        trainer = AdversarialTrainer(classifier, attack(classifier, **setting.attack()), ratio=1.0)
        trainer.fit(data.x, data.y, batch_size=setting.batch, nb_epochs=epochs)

    return fit


def with_our_trainer(**options: Any) -> Fit:
    """Our trainer, by default on adversarial images alone."""

    def fit(classifier: PyTorchClassifier, data: LabelledImages, epochs: int, seed: int, setting: Setting) -> None:
        attack = PGD(classifier, **setting.attack())
        asked = {"objective": "madry", "seed": seed, "verbose": False} | options
        trainer = DomainAdversarialTrainer(classifier, attack, **asked)
        trainer.fit(data.x, data.y, batch_size=setting.batch, nb_epochs=epochs)

    return fit


def accuracies(classifier: PyTorchClassifier, test: LabelledImages, eps: float) -> dict[str, float]:
    def accuracy(x: Any) -> float:
        return 100 * float((classifier.predict(x, batch_size=250).argmax(1) == test.y).mean())

    attack = PGD(
        classifier, eps=eps, eps_step=eps / 8, max_iter=20, num_random_init=1, batch_size=250, seed=1, verbose=False
    )
    shifted = DomainRandomization(SHIFT, seed=1)(test.x)[0]
    images = torch.from_numpy(test.x).to(classifier.device)
    corrupted = {name: accuracy(R.corrupt(images, name, severity=3, seed=1).cpu().numpy()) for name in R.CORRUPTIONS}
    return {
        "clean %": accuracy(test.x),
        "PGD-20 %": accuracy(attack.generate(test.x, test.y)),
        "corruptions %": float(np.mean(list(corrupted.values()))),
        "corruptions of unseen kinds %": float(np.mean([v for k, v in corrupted.items() if k not in TRAINED_KINDS])),
        "shift %": accuracy(shifted),
    }


def fresh(net: nn.Module, data: LabelledImages, setting: Setting, device: str) -> PyTorchClassifier:
    model = copy.deepcopy(net).to(device)
    return PyTorchClassifier(
        model,
        nn.CrossEntropyLoss(),
        data.x.shape[1:],
        len(data.classes),
        optimizer=setting.optimizer(model.parameters()),
        clip_values=(0, 1),
        device_type="cpu" if device == "cpu" else "gpu",
    )


def ways(part: str, device: str) -> dict[str, Fit]:
    """Name -> function that trains a classifier; the sides of "speed" do the same, the others differ in their data."""
    fast: dict[str, Any] = {"memory_format": "channels_last"} | (
        {} if device == "cpu" else {"autocast": torch.bfloat16}
    )
    if part == "speed":
        return {
            "AdversarialTrainer, ART's PGD": with_arts_trainer(ProjectedGradientDescentPyTorch),
            "AdversarialTrainer, our PGD": with_arts_trainer(PGD),
            "DomainAdversarialTrainer": with_our_trainer(schedule="constant"),
            f"DomainAdversarialTrainer, {', '.join(fast)}": with_our_trainer(schedule="constant", **fast),
        }
    domain = {"randomization": TRAINING_DOMAIN} | fast
    return {
        "madry": with_our_trainer(**fast),
        "madry, shifts and flips": with_our_trainer(randomization=USUAL, **fast),
        "madry + domain": with_our_trainer(**domain),
        "trades + domain": with_our_trainer(objective="trades", **domain),
        "trades, weight 3, + domain": with_our_trainer(objective="trades", weight=3.0, **domain),
        "standard + domain": with_our_trainer(objective="standard", **domain),
    }


def main(
    cifar: Annotated[Path | None, typer.Option(help="archive or folder of CIFAR-10")] = None,
    part: Annotated[str, typer.Option(help="speed or combined")] = "speed",
    train: int = 4000,
    test: int = 500,
    epochs: int = 6,
    seeds: Annotated[str, typer.Option(help="comma-separated")] = "0",
    device: str = "cpu",
    threads: int = 1,
    only: Annotated[str, typer.Option(help="a regular expression: only ways whose names have it")] = "",
    json: Annotated[Path | None, typer.Option(help="also write the table here")] = None,
) -> None:
    """Train every way, time it, measure what came of it."""
    torch.set_num_threads(threads)
    name = "digits" if cifar is None else "cifar"
    place = "" if device == "cpu" or cifar is None else " on a GPU"
    setting = SETTINGS[name + place + (", combined" if place and part == "combined" else "")]
    data, held_out = models.data(name, cifar, train, test)
    clock = time.process_time if device == "cpu" and threads == 1 else time.perf_counter
    rows = []
    for seed in map(int, seeds.split(",")):
        torch.manual_seed(seed)
        net = setting.net()
        base = None
        for way, fit in ways(part, device).items():
            if not re.search(only, way):
                continue
            few = LabelledImages(data.x[: 2 * setting.batch], data.y[: 2 * setting.batch], data.classes)
            fit(fresh(net, data, setting, device), few, 1, seed, setting)  # what is done once is not timed
            classifier = fresh(net, data, setting, device)
            torch.manual_seed(seed)
            np.random.seed(seed)
            begin = clock()
            fit(classifier, data, epochs, seed, setting)
            measure.synchronize(torch.device(device))
            seconds = clock() - begin
            base = base or seconds
            row = {"data": name, "seed": seed, "training": way, "seconds": seconds, "first / this": base / seconds}
            rows.append(row | accuracies(classifier, held_out, setting.eps))
            print(rows[-1], flush=True)
    about = measure.surroundings(torch.device(device)) | {"threads": threads, "epochs": epochs, "images": len(data)}
    print(about)
    measure.print_table(rows)
    measure.write(json, {"about": about, "rows": rows})


if __name__ == "__main__":
    typer.run(main)
