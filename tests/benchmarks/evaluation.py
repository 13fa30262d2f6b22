"""What `evaluate` costs beside the attacks that it runs: its own time, a curve of ten radii, and memory.

``python tests/benchmarks/evaluation.py overhead`` compares `evaluate` in a folder with the same attacks called by hand,
on the same blocks. ``curve`` compares ten radii with the largest alone, and says what each radius comes to by itself.
``memory`` judges images of 3x224x224 from a folder (or made on the fly) and prints the largest memory of the process.
"""

import os
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from art.estimators.classification import PyTorchClassifier
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand.data import digits
from art_domainrand.demo.recipes import Recipe
from art_domainrand.demo.training import train
from art_domainrand.evaluation import evaluate
from art_domainrand.evaluation.conditions import Attacked, Clean
from art_domainrand.evaluation.running.attacks import make_attack
from art_domainrand.evaluation.storage.cost import peak_memory

import measure
import strength_models

app = typer.Typer(help=__doc__, add_completion=False)
CPU = torch.device("cpu")
ATTACKS = {
    "pgd, 40 steps": Attacked("pgd", 0.1),
    "strongest, quick": Attacked("strongest", 0.1, options={"budget": "quick"}),
}
BLOCK = 256


def robust_classifier(epochs: int) -> PyTorchClassifier:
    """A digits classifier, trained adversarially."""
    torch.manual_seed(0)
    np.random.seed(0)
    return train("digits", Recipe(adversarial=True), digits()[0], 0, epochs=epochs)


def by_hand(model: Any, condition: Attacked, x: Any, y: Any) -> float:
    """The accuracy under an attack, called on the images of a block that are right, as one would do it oneself."""
    right = 0
    for start in range(0, len(x), BLOCK):
        images, labels = x[start : start + BLOCK], y[start : start + BLOCK]
        rest = model.predict(images, batch_size=BLOCK).argmax(1) == labels
        attack = make_attack(condition, model, condition.eps, seed=0, batch_size=BLOCK)
        found = attack.generate(images[rest], labels[rest])
        right += int((model.predict(found, batch_size=BLOCK).argmax(1) == labels[rest]).sum())
    return right / len(x)


@app.command()
def overhead(rounds: int = 7, epochs: int = 15, json: Annotated[Path | None, typer.Option()] = None) -> None:
    """`evaluate` in a folder beside the same attacks called by hand."""
    torch.set_num_threads(1)
    model, test, rows = robust_classifier(epochs), digits()[1], []
    for name, condition in ATTACKS.items():

        def whole(condition: Attacked = condition) -> float:
            with tempfile.TemporaryDirectory() as folder:
                found = evaluate(model, condition, (test.x, test.y), out=folder, diagnosed=False)
            return found.accuracy("model", condition.name).accuracy

        def alone(condition: Attacked = condition) -> float:
            return by_hand(model, condition, test.x, test.y)

        times = measure.interleaved({"evaluate": whole, "by hand": alone}, rounds, CPU)
        middle, low, high = measure.ratio(times, "evaluate", "by hand")
        rows.append(
            {
                "attack": name,
                "by hand, s": float(np.median(times["by hand"])),
                "evaluate, s": float(np.median(times["evaluate"])),
                "ratio": middle,
                "quartiles": f"{low:.3f} to {high:.3f}",
                "accuracy": f"{alone():.3f}, {whole():.3f}",
            }
        )
    measure.print_table(rows)
    measure.write(json, {"rows": rows, "surroundings": measure.surroundings(CPU)})


@app.command()
def curve(
    rounds: int = 5,
    epochs: int = 15,
    only: Annotated[str, typer.Option(help="attacks whose names begin so")] = "",
    network: Annotated[str, typer.Option(help="one on digits of strength_models.py, not the demo's")] = "",
    cache: Annotated[Path | None, typer.Option(help="keep its weights here")] = None,
    json: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Ten radii beside the largest alone, which lets samples go once they are fooled or takes every step, as in ART."""
    torch.set_num_threads(1)
    model = strength_models.load(network, cache).estimator if network else robust_classifier(epochs)
    test, rows, radii = digits()[1], [], []
    for name, largest in ((name, one) for name, one in ATTACKS.items() if name.startswith(only)):
        points = [Attacked(largest.attack, largest.eps * k / 10, options=largest.options) for k in range(1, 11)]

        def run(conditions: list[Attacked]) -> Any:
            return evaluate(model, conditions, (test.x, test.y), diagnosed=False)

        whole = replace(points[-1], options=largest.options | {"early_stop": False})
        beside = {"ten radii": points, "largest alone": points[-1:], "largest, every step": [whole]}
        if largest.attack == "strongest":  # which always lets samples go
            del beside["largest, every step"]
        times = measure.interleaved({side: partial(run, these) for side, these in beside.items()}, rounds, CPU)
        results = {side: run(these) for side, these in beside.items()}
        together = results["ten radii"]
        for side in list(beside)[1:]:
            middle, low, high = measure.ratio(times, "ten radii", side)
            rows.append(
                {
                    "attack": name,
                    "beside": side,
                    "it, s": float(np.median(times[side])),
                    "ten radii, s": float(np.median(times["ten radii"])),
                    "ratio": middle,
                    "quartiles": f"{low:.3f} to {high:.3f}",
                    "ratio of passes": passes(together) / passes(results[side]),
                }
            )
        radii += [
            {
                "attack": name,
                "eps": point.eps,
                "in the curve": together.accuracy("model", point.name).accuracy,
                "by itself": run([point]).accuracy("model", point.name).accuracy,
            }
            for point in points
        ]
    measure.print_table(rows)
    print()
    measure.print_table(radii)
    measure.write(json, {"rows": rows, "radii": radii, "surroundings": measure.surroundings(CPU)})


def passes(found: Any) -> float:
    """Forward and backward passes, of all images in all conditions."""
    return float(found.outcomes.rows["forwards"].sum() + found.outcomes.rows["backwards"].sum())


class Made(Dataset):
    """Images that are made when they are asked for."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.rand(3, 224, 224), index % 10


def linked_folder(root: Path, n: int, different: int = 50) -> str:
    """A folder of ``n`` JPEG files of 256x256, which are links to a few."""
    rng = np.random.default_rng(0)
    for k in range(different):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((256, 256)).save(root / f"{k}.jpg")
    for k in range(n):
        place = root / "images" / f"class{k % 10}"
        place.mkdir(parents=True, exist_ok=True)
        os.link(root / f"{k % different}.jpg", place / f"{k:06d}.jpg")
    return f"imagefolder:{root / 'images'}"


@app.command()
def memory(images: int = 50_000, made: Annotated[bool, typer.Option(help="made on the fly")] = False) -> None:
    """The largest memory of a process that judges many images of 3x224x224, clean and after one step."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    net = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(8 * 7 * 7, 10))
    options = {"clip_values": (0, 1), "device_type": "cpu"}
    model = PyTorchClassifier(net, nn.CrossEntropyLoss(), (3, 224, 224), 10, **options)
    before, start = peak_memory(), time.perf_counter()
    with tempfile.TemporaryDirectory() as root:
        data = Made(images) if made else linked_folder(Path(root), images)
        found = evaluate(model, [Clean(), Attacked("fgsm", 1 / 255)], data, out=Path(root) / "out")
    row = {
        "images": len(found.outcomes.samples),
        "from": "made on the fly" if made else "JPEG files",
        "before, MB": before / 1e6,
        "largest, MB": peak_memory() / 1e6,
        "seconds": time.perf_counter() - start,
    }
    measure.print_table([row])


if __name__ == "__main__":
    app()
