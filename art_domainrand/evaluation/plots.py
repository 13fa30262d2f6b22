"""Pictures of results, drawn without pyplot so that no global state and no display is involved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from art_domainrand.core.files import whole_file
from art_domainrand.evaluation.results import Row

Images: TypeAlias = NDArray[Any]

DPI = 150


def image_grid(
    path: str | Path,
    rows: Mapping[str, Images],
    captions: Mapping[str, Sequence[str]] | None = None,
    title: str | None = None,
) -> None:
    """Draw lines of images, each with a title on the left.

    :param path: where the picture is written, in the format of the suffix.
    :param rows: for each line, under its title, images (K, C, H, W) in [0, 1]; C is 1 or 3.
    :param captions: for some of the titles, one text to stand above each image.
    :param title: a heading for the whole.
    :raises ValueError: if there is no image, and for another number of channels.
    """
    columns = max((len(images) for images in rows.values()), default=0)
    if columns == 0:
        raise ValueError("rows must hold at least one image, got none")
    figure = Figure(figsize=(1.9 + 0.9 * columns, 1.1 * len(rows) + 0.4), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        texts = (captions or {}).get(name, ())
        for place, ax in enumerate(line):
            ax.set(xticks=[], yticks=[])
            ax.set_frame_on(False)
            if place < len(images):
                ax.imshow(displayable(images[place]), cmap="gray", vmin=0, vmax=1)
            if place < len(texts):
                ax.set_title(texts[place], fontsize=9, pad=2)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
    if title:
        figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def displayable(image: Images) -> Images:
    """Turn an image into what matplotlib shows.

    :param image: (C, H, W); C is 1 or 3.
    :return: (H, W) or (H, W, 3), clipped to [0, 1].
    :raises ValueError: for another shape.
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"an image must be (1, H, W) or (3, H, W), got shape {image.shape}")
    return np.clip(image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0), 0, 1)


def signed_image(change: Images, limit: float) -> Images:
    """Colour a change of images: from blue over grey at 0 to red.

    :param change: (K, C, H, W); channels are averaged.
    :param limit: the change at which the colour is full, > 0: red at ``limit``, blue at -``limit``.
    :return: RGB images (K, 3, H, W) in [0, 1].
    :raises ValueError: for another ``limit``.
    """
    if not limit > 0:
        raise ValueError(f"limit must be > 0, got {limit}")
    level = 0.5 + change.mean(axis=1) / (2 * limit)
    colours: Images = colormaps["coolwarm"](level)[..., :3].transpose(0, 3, 1, 2)
    return colours


def accuracy_curves(path: str | Path, x: Sequence[float], curves: Mapping[str, Sequence[Row]], xlabel: str) -> None:
    """Draw accuracy as curves with 95% bands.

    :param path: where the picture is written, in the format of the suffix.
    :param x: the places of the points along the horizontal axis.
    :param curves: for each curve, under its name, one row for each of ``x``.
    :param xlabel: what the horizontal axis is, with its unit.
    :raises ValueError: for a curve of another length.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    for name, rows in curves.items():
        if len(rows) != len(x):
            raise ValueError(f"curve {name!r} must have {len(x)} rows, one for each x, got {len(rows)}")
        (line,) = ax.plot(x, [100 * row.accuracy for row in rows], marker="o", markersize=3, label=name)
        low, high = ([100 * value for value in values] for values in zip(*((r.low, r.high) for r in rows), strict=True))
        ax.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    ax.set(xlabel=xlabel, ylabel="accuracy, %", ylim=(-2, 102))
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    save_figure(figure, path)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure, whole or not at all.

    :param figure: the figure of matplotlib.
    :param path: where it is written, in the format of the suffix.
    """
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=DPI)
