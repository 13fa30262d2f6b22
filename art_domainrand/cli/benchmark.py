"""``art-domainrand benchmark``."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from art_domainrand.cli import options
from art_domainrand.cli.app import FAILED, app, errors_in_one_line, tell
from art_domainrand.cli.run_config import RunConfig, check_early, with_options

_EPILOG = """Example:

art-domainrand benchmark --model net.py:make --weights net.safetensors --data npz:images.npz --limit 64 --eps 4/255"""

LIMIT = 64


@app.command("benchmark", epilog=_EPILOG)
def benchmark(
    out: Annotated[Path | None, typer.Option(help="A JSON file for the figures.")] = None,
    repeats: Annotated[int, typer.Option(help="Runs of each attack, in turn; medians of seconds are shown.")] = 3,
    model: options.ModelsOption = None,
    weights: options.WeightsOption = None,
    mean: options.MeanOption = None,
    std: options.StdOption = None,
    data: options.DataOption = None,
    size: options.SizeOption = None,
    download: options.DownloadOption = None,
    limit: Annotated[int, typer.Option(help="Images, chosen at random.", metavar="N")] = LIMIT,
    norm: Annotated[str, typer.Option(help="linf, l2 or l1.")] = "linf",
    eps: Annotated[str | None, typer.Option(help="The radius, as in evaluate. [default: the usual one]")] = None,
    device: options.DeviceOption = None,
    batch_size: options.BatchSizeOption = None,
    seed: options.SeedOption = None,
) -> None:
    """Measure our attacks beside ART's on your own model: robust accuracy, seconds, and passes for an image."""
    given = {
        "model": model,
        "weights": weights,
        "mean": mean,
        "std": std,
        "data": data,
        "size": size,
        "download": download,
        "limit": limit,
        "norm": [norm],
        "eps": None if eps is None else [eps],
        "device": device,
        "batch_size": batch_size,
        "seed": seed,
    }
    with errors_in_one_line():
        run = with_options(RunConfig(), given)
        measure_attacks(run, out, repeats)


def measure_attacks(run: RunConfig, out: Path | None, repeats: int) -> None:
    """Do what a run asks for and print the table."""
    check_early(run)
    from art_domainrand.cli.prepared import one_model, prepare_run
    from art_domainrand.cli.rivals import as_record, beside_art, rivals_table
    from art_domainrand.core.checks import require
    from art_domainrand.core.environment import environment
    from art_domainrand.core.files import check_folder, whole_file
    from art_domainrand.estimators.moving import on_device
    from art_domainrand.evaluation.conditions.kinds import Attacked
    from art_domainrand.evaluation.running.plan import chosen_samples
    from art_domainrand.loading import chosen_device

    require(repeats >= 1, "--repeats", "be >= 1", repeats)
    if out is not None:
        require(not out.expanduser().is_dir(), "--out", "be a file", str(out))
        check_folder("--out", out.expanduser().parent)
    device = chosen_device(run.device)
    prepared = prepare_run(run)
    name, estimator = one_model(prepared)
    (ball,) = [one for one in prepared.conditions.values() if isinstance(one, Attacked)]
    samples = chosen_samples(len(prepared.data), run.limit, run.seed)
    with errors_in_one_line(FAILED), on_device(estimator, device):
        size = 256 if run.batch_size == "auto" else int(run.batch_size)
        measured = beside_art(
            estimator, prepared.data, samples, ball.norm, ball.eps, seed=run.seed, batch_size=size, repeats=repeats
        )
        tell(f"{name}: {len(samples)} images, {ball.norm}, eps {ball.eps:g}, medians of {repeats}\n")
        tell("\n".join(rivals_table(measured)))
        if out is not None:
            about = {"command": shlex.join(["art-domainrand", *sys.argv[1:]]), "model": name, "norm": ball.norm}
            record = {**about, "eps": ball.eps, "n": len(samples), **environment(device)}
            with whole_file(out.expanduser()) as temporary:
                temporary.write_text(json.dumps({**record, "rows": as_record(measured)}, indent=2) + "\n")
            tell(f"\nWritten: {out}")
