"""AttackBench's optimality: ours, and the attacks of ART, foolbox, torchattacks, adversarial-library and AutoAttack.

Run ``python tests/benchmarks/attackbench.py [--norms inf,2,1,0] [--models digits-pgd,digits-l2] [--images 100]
[--offset N] [--seed N] [--cache FOLDER] [--cifar ARCHIVE] [--keep FOLDER] [--only PATTERN]``. Every attack has 1000
forward and 1000 backward passes for each image and looks for the closest adversarial examples; 1 is the best of all
attacks on every image, 0 who finds nothing (Cina et al. 2025). Libraries that are not installed are left out.
``--keep`` keeps distances, so that only what is new runs again.
"""

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

sys.path.insert(0, str(Path(__file__).parent))
import measure
import strength_models as models
from attackbench_attacks import ENTRIES, Entry, Setting
from attackbench_curves import Distances, Spent, Watched, optimality
from strength_models import INF, Model

Row = dict[str, Any]
# The eps that a search begins with where a model names none, in entries of the image.
FIRST_IN_L0 = 8.0


@dataclass(frozen=True, eq=False)
class Result:
    """What an attack finds.

    :param entry: The attack.
    :param distances: Of the closest adversarial examples (N,).
    :param forwards: Forward passes for each image.
    :param backwards: Backward passes for each image.
    :param seconds: Of this process.
    """

    entry: Entry
    distances: Distances
    forwards: float
    backwards: float
    seconds: float

    def row(self, best: Distances) -> Row:
        found = self.distances[np.isfinite(self.distances)]
        return {
            "library": self.entry.library,
            "attack": self.entry.name,
            "optimality": round(optimality(self.distances, best), 4),
            "median distance": float(np.median(found)) if len(found) else float("nan"),
            "not found": int(np.isinf(self.distances).sum()),
            "forward": round(self.forwards),
            "backward": round(self.backwards),
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True)
class Measured:
    """What all attacks have in common.

    :param passes: Forward, and backward, passes for each image.
    :param offset: How many images of each model are left out before the first.
    :param seed: Of our attacks.
    """

    passes: int
    offset: int = 0
    seed: int = 0

    def file(self, entry: Entry, model: Model, norm: float) -> str:
        """The name of the file in which distances are kept."""
        offset = f"from {self.offset}" if self.offset else ""
        seed = f"seed {self.seed}" if self.seed and entry.library == "art_domainrand" else ""
        parts = (model.name, norm, len(model.x), offset, self.passes, entry.library, entry.name, seed)
        return re.sub(r"\W+", "-", " ".join(str(part) for part in parts if part != "")) + ".npz"


def result(entry: Entry, model: Model, norm: float, measured: Measured) -> Result:
    """One attack on a model."""
    torch.manual_seed(0)
    np.random.seed(0)
    passes = measured.passes
    watched = Watched(model.net, model.x, model.y, norm, passes).eval()
    watched.judge(model.x)
    first = model.radii.get(norm, FIRST_IN_L0)
    setting = Setting(
        watched, models.classifier(watched, model.test), model.x, model.y, norm, passes, first, measured.seed
    )
    begin = time.process_time()
    try:
        found = entry.run(setting)
        if found is not None:
            watched.judge(found.detach())
    except Spent:
        pass  # what it found so far counts
    n = len(model.x)
    seconds = time.process_time() - begin
    return Result(entry, watched.distances.cpu().numpy(), watched.forwards / n, watched.backwards / n, seconds)


def results(model: Model, norm: float, measured: Measured, only: str, keep: Path | None) -> Iterator[Result]:
    """Every attack that is for this norm and whose library is here; from ``keep`` where it was run before."""
    for entry in ENTRIES:
        if norm not in entry.norms or not re.search(only, f"{entry.library} {entry.name}"):
            continue
        if find_spec(entry.library) is None:
            print(f"{entry.library} is not installed: {entry.name} is left out", flush=True)
            continue
        path = None if keep is None else keep / measured.file(entry, model, norm)
        if path is not None and path.exists():
            kept = np.load(path)
            yield Result(entry, kept["distances"], *(float(kept[key]) for key in ("forwards", "backwards", "seconds")))
            continue
        try:
            found = result(entry, model, norm, measured)
        except Exception as error:  # a peer that fails on a model is a line of the table's, not its end
            print(f"{entry.library} {entry.name} fails: {type(error).__name__}: {str(error)[:200]}", flush=True)
            continue
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = {"forwards": found.forwards, "backwards": found.backwards, "seconds": found.seconds}
            np.savez(path, distances=found.distances, **kept)
        yield found


def table(found: list[Result]) -> list[Row]:
    """The rows, best first, beside the best of all on every image."""
    best = np.min([one.distances for one in found], axis=0)
    return sorted((one.row(best) for one in found), key=lambda row: -row["optimality"])


def summary(tables: dict[tuple[str, float], list[Row]], norm: float) -> list[Row]:
    """The mean optimality of every attack over the models of a norm."""
    rows = {name: found for (name, at), found in tables.items() if at == norm}
    names = dict.fromkeys((row["library"], row["attack"]) for found in rows.values() for row in found)
    means = []
    for library, attack in names:
        each = {
            name: row["optimality"]
            for name, found in rows.items()
            for row in found
            if (row["library"], row["attack"]) == (library, attack)
        }
        if len(each) == len(rows):
            means.append({"library": library, "attack": attack, "mean": float(np.mean(list(each.values()))), **each})
    return sorted(means, key=lambda row: -row["mean"])


def shown(row: Row) -> Row:
    """A row with figures of the same length: four decimals tell attacks apart that are close to the best."""
    return {
        key: f"{value:.4f}" if isinstance(value, float) and key != "seconds" else value for key, value in row.items()
    }


def main(
    norms: Annotated[str, typer.Option(help="inf, 2, 1, 0, comma-separated")] = "inf,2,1,0",
    names: Annotated[str, typer.Option("--models", help="of strength_models.MODELS")] = "digits-pgd,digits-l2",
    images: Annotated[int, typer.Option(help="of each model, the first ones")] = 100,
    offset: Annotated[int, typer.Option(help="how many images are left out before them")] = 0,
    seed: Annotated[int, typer.Option(help="of our attacks")] = 0,
    passes: Annotated[int, typer.Option(help="forward, and backward, for each image")] = 1000,
    only: Annotated[str, typer.Option(help="a pattern of libraries and names")] = "",
    cache: Annotated[Path | None, typer.Option(help="keep trained models here")] = None,
    cifar: Annotated[Path | None, typer.Option(help="archive or folder of CIFAR-10")] = None,
    keep: Annotated[Path | None, typer.Option(help="keep distances here, and take what is there")] = None,
    threads: int = 1,
    json: Annotated[Path | None, typer.Option(help="also write the tables here")] = None,
) -> None:
    """Run the attacks and print one table for every norm and model, and the means over the models."""
    torch.set_num_threads(threads)
    measured = Measured(passes, offset, seed)
    print(about := measure.surroundings(torch.device("cpu")))
    tables: dict[tuple[str, float], list[Row]] = {}
    for norm in (float(part) for part in norms.split(",")):
        for name in names.split(","):
            whole = models.load(name, cache, cifar, offset + images)
            model = replace(whole, test=whole.test[offset:])
            found = []
            for one in results(model, norm, measured, only, keep):
                found.append(one)
                print(f"{model.name} L{norm} {one.row(one.distances)}", flush=True)
            tables[model.name, norm] = table(found)
            print(f"\n{model.name}, L{'inf' if norm == INF else int(norm)}, {len(model.x)} images")
            measure.print_table([shown(row) for row in tables[model.name, norm]])
        print(f"\nMean over models, L{'inf' if norm == INF else int(norm)}")
        measure.print_table([shown(row) for row in summary(tables, norm)])
    measure.write(json, {"about": about, "tables": {f"{name} {norm}": rows for (name, norm), rows in tables.items()}})


if __name__ == "__main__":
    typer.run(main)
