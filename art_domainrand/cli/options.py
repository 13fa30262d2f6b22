"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ModelsOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="FILE.py:NAME or package.module:NAME of a function that makes a model (this RUNS that code); "
        "torchvision:NAME, timm:NAME, hf:NAME; a file of torch.export or TorchScript. Repeat it for several; "
        "NAME=MODEL names one. Without it: two small networks, trained first.",
    ),
]
WeightsOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--weights", help="For each model: safetensors or a state dict, or 'pretrained'; no pickle is run."),
]
MeanOption: TypeAlias = Annotated[str | None, typer.Option(help="Subtracted from channels first: 0.485,0.456,0.406")]
StdOption: TypeAlias = Annotated[str | None, typer.Option(help="What channels are divided by then: 0.229,0.224,0.225")]
DataOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="digits; cifar10, mnist, fashion_mnist from the folder 'data', or from DIR as in mnist:DIR; cifar10c:DIR; "
        "imagefolder:DIR; npz:FILE with arrays x and y. [default: digits]",
    ),
]
SizeOption: TypeAlias = Annotated[
    int | None, typer.Option(help="Side of digits and of images in folders, which are cut and resized.", metavar="SIZE")
]
DownloadOption: TypeAlias = Annotated[
    bool | None, typer.Option("--download", help="Let torchvision download data that are missing.")
]
LimitOption: TypeAlias = Annotated[
    int | None, typer.Option(help="At most so many images, chosen at random.", metavar="N")
]
AttacksOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--attack",
        help="pgd, autopgd, strongest, minimum, square, fgsm or art:NAME; carben; worst:PRESET for the "
        "worst draw of one of `list`'s pipelines; repeat or use commas.",
    ),
]
NormsOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--norm", help="linf, l2, l1 or l0; repeat or use commas.")
]
RadiiOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--eps", help="Radii for pixels in [0, 1]: 1/255,2/255,8/255 or 0.1")
]
DeviceOption: TypeAlias = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps. [default: auto]")]
BatchSizeOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Images at a time: auto or a number; halved if memory runs out. [default: auto]")
]
SeedOption: TypeAlias = Annotated[int | None, typer.Option(help="Same seed, same numbers; >= 0. [default: 0]")]
OutOption: TypeAlias = Annotated[Path, typer.Option(help="The folder for everything that is written.")]
FolderOption: TypeAlias = Annotated[Path, typer.Argument(metavar="OUT", help="The --out of an evaluation.")]
