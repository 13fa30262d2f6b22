"""``art-domainrand attack``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from art_domainrand.cli import options
from art_domainrand.cli.app import FAILED, app, errors_in_one_line, tell
from art_domainrand.cli.run_config import RunConfig, check_early, with_options

_EPILOG = """Examples:

art-domainrand attack --model net.py:make --weights net.safetensors --data imagefolder:val --size 224 --eps 4/255
--limit 100

art-domainrand attack --model torchvision:resnet18 --weights pretrained --data npz:images.npz --attack pgd
--format npz"""

BATCH = 64


@app.command("attack", epilog=_EPILOG)
def attack_command(
    out: options.OutOption = Path("adversarial"),
    form: Annotated[
        str, typer.Option("--format", help="png (8 bits, a folder for each class) or npz (float32, arrays x and y).")
    ] = "png",
    model: options.ModelsOption = None,
    weights: options.WeightsOption = None,
    mean: options.MeanOption = None,
    std: options.StdOption = None,
    data: options.DataOption = None,
    size: options.SizeOption = None,
    download: options.DownloadOption = None,
    limit: options.LimitOption = None,
    attack: options.AttacksOption = None,
    norm: options.NormsOption = None,
    eps: options.RadiiOption = None,
    device: options.DeviceOption = None,
    batch_size: options.BatchSizeOption = None,
    seed: options.SeedOption = None,
) -> None:
    """Write adversarial examples of one model and one attack into OUT, with a record of what was done."""
    given = {
        "model": model,
        "weights": weights,
        "mean": mean,
        "std": std,
        "data": data,
        "size": size,
        "download": download,
        "limit": limit,
        "attack": attack or ["strongest"],
        "norm": norm,
        "eps": eps,
        "device": device,
        "batch_size": batch_size,
        "seed": seed,
    }
    with errors_in_one_line():
        run = with_options(RunConfig(out=str(out)), given)
        attack_and_write(run, form)


def attack_and_write(run: RunConfig, form: str) -> None:
    """Do what a run asks for and print what came of it."""
    check_early(run)
    from art_domainrand.cli.adversarial_images import FORMATS, RECORD, check_new, write_adversarial
    from art_domainrand.cli.prepared import one_model, prepare_run
    from art_domainrand.core.checks import require
    from art_domainrand.core.environment import environment
    from art_domainrand.estimators.moving import on_device
    from art_domainrand.evaluation.conditions.kinds import Attacked
    from art_domainrand.evaluation.running.plan import chosen_samples
    from art_domainrand.loading import chosen_device

    out = Path(run.out).expanduser()
    require(form in FORMATS, "--format", f"be one of {list(FORMATS)}", form)
    check_new(out)
    device = chosen_device(run.device)
    prepared = prepare_run(run)
    name, estimator = one_model(prepared)
    attacks = [one for one in prepared.conditions.values() if isinstance(one, Attacked)]
    if len(attacks) != 1:
        raise ValueError(f"--attack, --norm and --eps must name one attack, got {[one.name for one in attacks]}")
    samples = chosen_samples(len(prepared.data), run.limit, run.seed)
    about = {
        "command": shlex.join(["art-domainrand", *sys.argv[1:]]),
        "model": name,
        "data": prepared.data.name,
        "seed": run.seed,
        **environment(device),
    }
    with errors_in_one_line(FAILED), on_device(estimator, device):
        written = write_adversarial(
            out,
            estimator,
            prepared.data,
            samples,
            attacks[0],
            form=form,
            seed=run.seed,
            batch_size=BATCH if run.batch_size == "auto" else int(run.batch_size),
            about=about,
        )
        right = [sum(getattr(one, at) == one.label for one in written) for at in ("before", "after")]
        tell(f"{attacks[0].name}: {right[0]} of {len(written)} right before, {right[1]} after")
        tell(f"Written: {out / RECORD}, which also says how pixels were rounded")
