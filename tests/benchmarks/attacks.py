"""Time and memory of L-inf PGD: ours, a bare loop, ART, torchattacks and foolbox in one process.

Run ``python tests/benchmarks/attacks.py [--device cuda] [--json FILE]`` (needs the extra ``peers``).
"""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand import PGD

import measure
from models import CUDA_MODELS, MODELS, build

with contextlib.suppress(ImportError):
    import foolbox
    import torchattacks

EPS, STEP = 8 / 255, 2 / 255
Side = Callable[[], Any]


def bare_loop(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> Tensor:
    """Forward, input gradient, sign, clamp: what any L-inf PGD must do, with frozen parameters."""
    low, high = (x - EPS).clamp(0, 1), (x + EPS).clamp(0, 1)
    adv = x
    for _ in range(steps):
        leaf = adv.detach().requires_grad_()
        (grad,) = torch.autograd.grad(nn.functional.cross_entropy(model(leaf), y), leaf)
        adv = torch.clamp(adv + STEP * grad.sign(), low, high)
    return adv


def sides(model: nn.Module, x: Tensor, y: Tensor, classes: int, steps: int) -> dict[str, Side]:
    """Every implementation at equal settings, from the same start, without random restarts."""
    device = "gpu" if x.device.type == "cuda" else "cpu"
    estimator = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), tuple(x.shape[1:]), classes, clip_values=(0, 1), device_type=device
    )
    options = {"eps": EPS, "eps_step": STEP, "max_iter": steps, "batch_size": len(x), "verbose": False}
    x_host, y_host = x.cpu().numpy(), y.cpu().numpy()

    def bare() -> Tensor:
        for p in model.parameters():
            p.requires_grad_(False)
        try:
            return bare_loop(model, x, y, steps)
        finally:
            for p in model.parameters():
                p.requires_grad_(True)

    found: dict[str, Side] = {
        "bare loop": bare,
        "ours, perturb": lambda: PGD(estimator, **options).perturb(x, y),
        "ours, generate": lambda: PGD(estimator, **options).generate(x_host, y_host),
        "ours, channels_last": lambda: PGD(estimator, memory_format="channels_last", **options).perturb(x, y),
    }
    if x.device.type == "cuda":
        half = {"autocast": torch.bfloat16, "memory_format": "channels_last"}
        found["ours, bf16"] = lambda: PGD(estimator, autocast=torch.bfloat16, **options).perturb(x, y)
        found["ours, bf16 channels_last"] = lambda: PGD(estimator, **half, **options).perturb(x, y)
    found["ART"] = lambda: ProjectedGradientDescentPyTorch(estimator, **options).generate(x_host, y_host)
    if "torchattacks" in globals():
        attack = torchattacks.PGD(model, eps=EPS, alpha=STEP, steps=steps, random_start=False)
        found["torchattacks"] = lambda: attack(x, y)
    if "foolbox" in globals():
        pgd = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=steps, random_start=False)
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=x.device)
        found["foolbox"] = lambda: pgd.run(wrapped, x, y, epsilon=EPS)
    return found


def compare(name: str, device: torch.device, steps: int, rounds: int) -> list[dict[str, Any]]:
    """One row per implementation on one model."""
    model, x, y, classes = build(name, device)
    runs = sides(model, x, y, classes, steps)
    times = measure.interleaved(runs, rounds, device)
    batch = x.numel() * x.element_size()
    base = measure.peak_bytes(runs["bare loop"], device)
    rows = []
    for side, run in runs.items():
        middle, low, high = measure.ratio(times, side, "bare loop")
        seconds = sorted(times[side])[rounds // 2]
        rows.append(
            {
                "model": f"{name}, {len(x)}x3x{x.shape[2]}x{x.shape[3]}",
                "side": side,
                "ms per step": 1000 * seconds / steps,
                "to bare loop": middle,
                "quartiles": f"{low:.2f} to {high:.2f}",
                "ART / this": measure.ratio(times, "ART", side)[0],
                "batches above bare loop": (measure.peak_bytes(run, device) - base) / batch,
            }
        )
    return rows


def main(
    device: str = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
    steps: int = 20,
    rounds: int = 9,
    json: Annotated[Path | None, typer.Option(help="also write the table here")] = None,
) -> None:
    """Print the table of times per PGD step, ratios and peak memory."""
    torch.set_num_threads(threads)
    place = torch.device(device)
    rows = [
        row for name in (CUDA_MODELS if place.type == "cuda" else MODELS) for row in compare(name, place, steps, rounds)
    ]
    about = measure.surroundings(place) | {"steps": steps, "rounds": rounds, "seed": 0}
    print(about)
    measure.print_table(rows)
    measure.write(json, {"about": about, "rows": rows})


if __name__ == "__main__":
    typer.run(main)
