"""How long robust training takes and what comes of it: ART's trainer with its PGD and ours, and our trainer.

Run ``python tests/benchmarks/training.py [--cifar ARCHIVE] [--train 4000] [--epochs 6] [--device cpu] [--json FILE]``.
Without ``--cifar`` the digits are used. All train the same network from the same weights on the same images for the
same epochs; accuracies are percentages on held-out images: clean, under PGD-20 with a random start, on corruptions at
severity 3 (every third of the 19) and under a domain shift that no training saw.
"""

import copy
import sys
import time
from collections.abc import Callable
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
from art_domainrand import PGD, DomainRandomization
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.data import LabelledImages
from art_domainrand.training.trainer import DomainAdversarialTrainer

import measure
import strength_models as models

STEPS = 5
BATCH = 128
TRAINING_DOMAIN = R.Pipeline(
    [
        R.Rotation((-20.0, 20.0)),
        R.Scale((0.85, 1.15)),
        R.Translation((-0.1, 0.1)),
        R.Sometimes(R.Flip(), 0.5),
        R.Brightness((-0.2, 0.2)),
        R.Contrast((0.6, 1.6)),
        R.Sometimes(R.GaussianBlur((0.3, 1.2)), 0.3),
        R.Sometimes(R.GaussianNoise((0.0, 0.08)), 0.5),
    ]
)
# Kinds of change that TRAINING_DOMAIN does not hold.
SHIFT = R.Pipeline([R.Perspective(0.3), R.Shear((-15.0, 15.0)), R.Gamma((0.5, 2.0)), R.Occlusion()])
CORRUPTIONS = list(R.CORRUPTIONS)[::3]

Fit = Callable[[PyTorchClassifier, LabelledImages, int, int], None]


def attack_options(eps: float) -> dict[str, Any]:
    return {"eps": eps, "eps_step": eps / 2, "max_iter": STEPS, "num_random_init": 1, "batch_size": BATCH}


def with_art_pgd(classifier: PyTorchClassifier, data: LabelledImages, epochs: int, seed: int, eps: float) -> None:
    attack = ProjectedGradientDescentPyTorch(classifier, verbose=False, **attack_options(eps))
    AdversarialTrainer(classifier, attack, ratio=1.0).fit(data.x, data.y, batch_size=BATCH, nb_epochs=epochs)


def with_our_pgd(classifier: PyTorchClassifier, data: LabelledImages, epochs: int, seed: int, eps: float) -> None:
    attack = PGD(classifier, verbose=False, **attack_options(eps))
    AdversarialTrainer(classifier, attack, ratio=1.0).fit(data.x, data.y, batch_size=BATCH, nb_epochs=epochs)


def with_our_trainer(
    classifier: PyTorchClassifier, data: LabelledImages, epochs: int, seed: int, eps: float, **options: Any
) -> None:
    attack = PGD(classifier, verbose=False, **attack_options(eps))
    trainer = DomainAdversarialTrainer(classifier, attack, seed=seed, verbose=False, **options)
    trainer.fit(data.x, data.y, batch_size=BATCH, nb_epochs=epochs)


def accuracies(classifier: PyTorchClassifier, test: LabelledImages, eps: float) -> dict[str, float]:
    def accuracy(x: Any) -> float:
        return 100 * float((classifier.predict(x, batch_size=250).argmax(1) == test.y).mean())

    attack = PGD(
        classifier, eps=eps, eps_step=eps / 8, max_iter=20, num_random_init=1, batch_size=250, seed=1, verbose=False
    )
    shifted = DomainRandomization(SHIFT, seed=1)(test.x)[0]
    images = torch.from_numpy(test.x)
    corrupted = [accuracy(R.corrupt(images, name, severity=3, seed=1).numpy()) for name in CORRUPTIONS]
    return {
        "clean %": accuracy(test.x),
        "PGD-20 %": accuracy(attack.generate(test.x, test.y)),
        "corruptions %": float(np.mean(corrupted)),
        "shift %": accuracy(shifted),
    }


def fresh(net: nn.Module, data: LabelledImages, rate: float, device: str) -> PyTorchClassifier:
    model = copy.deepcopy(net).to(device)
    return PyTorchClassifier(
        model,
        nn.CrossEntropyLoss(),
        data.x.shape[1:],
        len(data.classes),
        optimizer=torch.optim.Adam(model.parameters(), rate),
        clip_values=(0, 1),
        device_type="cpu" if device == "cpu" else "gpu",
    )


def ways(device: str) -> dict[str, Any]:
    """Name -> function that trains a classifier."""
    fast: dict[str, Any] = {"objective": "madry", "schedule": "constant"}
    on_gpu: dict[str, Any] = {} if device == "cpu" else {"autocast": torch.bfloat16}

    def ours(**options: Any) -> Any:
        return lambda *arguments: with_our_trainer(*arguments, **(fast | options))

    return {
        "AdversarialTrainer, ART's PGD": with_art_pgd,
        "AdversarialTrainer, our PGD": with_our_pgd,
        "DomainAdversarialTrainer, madry": ours(),
        "DomainAdversarialTrainer, madry, channels_last": ours(channels_last=True, **on_gpu),
        "DomainAdversarialTrainer, madry + domain": ours(channels_last=True, pipeline=TRAINING_DOMAIN, **on_gpu),
        "DomainAdversarialTrainer, standard + domain": ours(
            objective="standard", channels_last=True, pipeline=TRAINING_DOMAIN, **on_gpu
        ),
    }


def main(
    cifar: Annotated[Path | None, typer.Option(help="archive or folder of CIFAR-10")] = None,
    train: int = 4000,
    test: int = 500,
    epochs: int = 6,
    seeds: int = 1,
    device: str = "cpu",
    threads: int = 1,
    only: Annotated[str, typer.Option(help="only ways whose name holds this")] = "",
    json: Annotated[Path | None, typer.Option(help="also write the table here")] = None,
) -> None:
    """Train every way, time it, measure what came of it."""
    torch.set_num_threads(threads)
    name = "digits" if cifar is None else "cifar"
    recipe = models.RECIPES[name]
    data, held_out = models.data(name, cifar, train, test)
    clock = time.process_time if device == "cpu" and threads == 1 else time.perf_counter
    rows = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        net = recipe.net()
        base = None
        for way, fit in ways(device).items():
            if only not in way:
                continue
            torch.manual_seed(seed)
            np.random.seed(seed)
            classifier = fresh(net, data, recipe.rate, device)
            begin = clock()
            fit(classifier, data, epochs, seed, recipe.eps)
            seconds = clock() - begin
            base = base or seconds
            row = {"data": name, "seed": seed, "training": way, "seconds": seconds, "ART / this": base / seconds}
            rows.append(row | accuracies(classifier, held_out, recipe.eps))
            print(rows[-1], flush=True)
    about = measure.surroundings(torch.device(device)) | {"threads": threads, "epochs": epochs, "images": len(data)}
    print(about)
    measure.print_table(rows)
    measure.write(json, {"about": about, "rows": rows})


if __name__ == "__main__":
    typer.run(main)
