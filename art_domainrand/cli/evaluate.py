"""``art-domainrand evaluate``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from art_domainrand.cli import options
from art_domainrand.cli.app import BELOW, FAILED, app, complain, errors_in_one_line, leads, tell
from art_domainrand.cli.config_paths import from_config
from art_domainrand.cli.run_config import PRESET_NAMES, RunConfig, check_early, load_config, with_options

if TYPE_CHECKING:
    from art_domainrand.evaluation.evaluation import Evaluation

_EPILOG = """Examples:

art-domainrand evaluate

art-domainrand evaluate --model net.py:make --weights net.safetensors --data imagefolder:val --size 224 --eps 4/255

art-domainrand evaluate --model torchvision:resnet50 --weights pretrained --data npz:images.npz --preset standard
--fail-under "robust(linf,8/255)>=0.4"

torchrun --nproc-per-node 4 --no-python art-domainrand evaluate --config run.yaml

Exit codes: 0 done, 1 failed half-way (run it again to go on), 2 bad arguments, 3 below --fail-under."""


@app.command("evaluate", epilog=_EPILOG)
def evaluate_command(
    model: options.ModelsOption = None,
    weights: options.WeightsOption = None,
    mean: options.MeanOption = None,
    std: options.StdOption = None,
    data: options.DataOption = None,
    size: options.SizeOption = None,
    download: options.DownloadOption = None,
    limit: options.LimitOption = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="quick, standard or full, beside what is named. [default: quick, if nothing is named]",
            autocompletion=lambda: list(PRESET_NAMES),
        ),
    ] = None,
    attack: options.AttacksOption = None,
    norm: options.NormsOption = None,
    eps: options.RadiiOption = None,
    domain: Annotated[
        list[str] | None, typer.Option(help="night, rain:5 ... or all; repeat or use commas; see 'list'.")
    ] = None,
    corruptions: Annotated[
        list[str] | None, typer.Option(help="fog, jpeg_compression:5 ..., common or all; repeat or use commas.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A YAML file with these options by name, '_' for '-'; options win over it. Relative paths in it are "
            "looked for in the working folder, then beside the file."
        ),
    ] = None,
    dump_config: Annotated[bool, typer.Option("--dump-config", help="Print the whole run as YAML and end.")] = False,
    device: options.DeviceOption = None,
    batch_size: options.BatchSizeOption = None,
    seed: options.SeedOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder for everything that is written. [default: evaluation]")
    ] = None,
    fail_under: Annotated[
        str | None, typer.Option(help="End with 3 unless this holds: 'robust(linf,8/255)>=0.4; clean>=0.9'")
    ] = None,
) -> None:
    """Judge models on clean, attacked, corrupted and randomized images: a table and a page in OUT.

    A run that was stopped goes on when it is started again. Under torchrun, processes share the work.
    """
    given = {
        "model": model,
        "weights": weights,
        "mean": mean,
        "std": std,
        "data": data,
        "size": size,
        "download": download,
        "limit": limit,
        "preset": preset,
        "attack": attack,
        "norm": norm,
        "eps": eps,
        "domain": domain,
        "corruptions": corruptions,
        "device": device,
        "batch_size": batch_size,
        "seed": seed,
        "out": None if out is None else str(out),
        "fail_under": fail_under,
    }
    with errors_in_one_line():
        asked = RunConfig() if config is None else found_config(config.expanduser())
        run = with_options(asked, given).effective()
        if dump_config:
            tell(run.to_yaml().rstrip())
            raise typer.Exit
        below = evaluated(run)
    if below:
        raise typer.Exit(BELOW)


def found_config(path: Path) -> RunConfig:
    """What a config says, with its relative paths as they are from the working folder."""
    return from_config(load_config(path), path.parent)


def evaluated(run: RunConfig) -> bool:
    """Do what a run asks for and print what came of it; whether a result is below what was asked for."""
    check_early(run)
    # torch and ART take seconds to import; --help must not wait for them.
    from art_domainrand.cli.prepared import prepare_run
    from art_domainrand.cli.results import result_lines
    from art_domainrand.evaluation.report.page import write_report
    from art_domainrand.evaluation.running.evaluate import evaluate
    from art_domainrand.evaluation.summary import check_measurable, check_thresholds, parse_thresholds
    from art_domainrand.loading import chosen_device

    thresholds = () if run.fail_under is None else parse_thresholds(run.fail_under)
    device = chosen_device(run.device)
    prepared = prepare_run(run)
    # A run may take hours: what it cannot answer is told before it, not after.
    check_measurable(thresholds, list(prepared.models), prepared.conditions)
    out = Path(run.out).expanduser()
    with errors_in_one_line(FAILED, kept=f": what is finished is in {out}; the same command goes on from there"):
        evaluation: Evaluation = evaluate(
            prepared.models,
            prepared.conditions,
            prepared.data,
            out=out,
            seed=run.seed,
            batch_size=run.batch_size,
            device=device,
            limit=run.limit,
            verbose=leads(),
            command=shlex.join(["art-domainrand", *sys.argv[1:]]),
        )
        if not leads():
            return False
        pages = write_report(evaluation, out)
        tell("\n".join(result_lines(evaluation)))
        tell(f"\nPage: {pages[0]}")
    checked = check_thresholds(evaluation, thresholds) if thresholds else ()
    for one in checked:
        complain(str(one), "Required: ")
    return not all(one.met for one in checked)
