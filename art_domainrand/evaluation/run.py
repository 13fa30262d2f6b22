"""Accuracies alone: every model in every cell, counted in one go.

A cell is a function ``cell(estimator, x, y)`` that returns the images on which the estimator is judged. It is a
condition of :func:`art_domainrand.evaluation.evaluate`, too, which keeps what became of every sample. The cells made
here are older than conditions, which say the same as data that can be written down; they go on working, and warn.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from tqdm.auto import tqdm

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.arrays import Array, from_array
from art_domainrand.core.checks import Text, check_layout, check_pixels, clip_bounds, require
from art_domainrand.core.labels import correct
from art_domainrand.core.random import SHIFT, keys_of
from art_domainrand.estimators import predict
from art_domainrand.estimators.scores import class_scores
from art_domainrand.evaluation.results import Row
from art_domainrand.randomization import Pipeline
from art_domainrand.randomization.core.sampling import keyed_draws

Cell: TypeAlias = Callable[[Any, Array, Array], Array]
"""From an estimator, images (N, C, H, W) and class indices (N,) to the images on which the estimator is judged."""

BATCH_SIZE = 256


def clean(estimator: Any, x: Array, y: Array) -> Array:
    """The cell of the images as they are; :class:`~art_domainrand.evaluation.Clean` replaces it.

    :param estimator: not used.
    :param x: images (N, C, H, W).
    :param y: not used.
    :return: ``x`` itself.
    """
    return x


def attacked(attack: Callable[[Any], Any]) -> Cell:
    """The cell of adversarial images; :class:`~art_domainrand.evaluation.Attacked` replaces it.

    :param attack: makes an ART evasion attack for an estimator; the attack is told the true labels.
    """
    warn_of_older_cell(
        "attacked(attack)", 'Attacked("pgd", eps=8/255), or Attacked(attack, eps) for a class of attacks'
    )

    def cell(estimator: Any, x: Array, y: Array) -> Array:
        images: Array = attack(estimator).generate(x, y)
        return images

    return cell


def shifted(pipeline: Pipeline, seed: int) -> Cell:
    """The cell of images that a pipeline has changed, clipped to [0, 1].

    :class:`~art_domainrand.evaluation.Randomized` replaces it; ``evaluate(..., seed=seed)`` fixes its draws.

    The cell raises ValueError for pixels outside [0, 1], the range that ``x`` must have.

    :param pipeline: the change.
    :param seed: an int that fixes, with an image's place, its draw, so that all models are judged on the same images.
    """
    warn_of_older_cell("shifted(pipeline, seed)", "Randomized(pipeline)")

    def cell(estimator: Any, x: Array, y: Array) -> Array:
        low, high = x.min(initial=0), x.max(initial=1)
        if not (low == 0 and high == 1):  # also for NaN
            raise ValueError(f"x must be in [0, 1] for a shift, got pixels from {low} to {high}")
        draw = keyed_draws(pipeline, keys_of(seed, SHIFT, torch.arange(len(x))))
        with torch.no_grad():
            changed = pipeline.apply(from_array(x), draw)
        return changed.clamp(0, 1).numpy()

    return cell


def in_turn(*cells: Cell) -> Cell:
    """The cell in which several work one after another; :class:`~art_domainrand.evaluation.Then` replaces it.

    :param cells: the cells, in order; each works on the images of the one before.
    """
    warn_of_older_cell("in_turn(a, b)", "Then(a, b)")

    def cell(estimator: Any, x: Array, y: Array) -> Array:
        for step in cells:
            x = step(estimator, x, y)
        return x

    return cell


def warn_of_older_cell(old: str, new: str) -> None:
    """Warn the caller of a function that something better stands in its place."""
    warnings.warn(f"{old} is replaced: write {new}, from art_domainrand.evaluation", DeprecationWarning, stacklevel=3)


def count_correct(scores: Array, y: Array, argument: str = "estimator") -> int:
    """How many images a model assigns to their class.

    :param scores: what it predicts, (N, K).
    :param y: class indices (N,).
    :param argument: what the model is called in an error.
    :raises ValueError: for scores that are NaN, which would be counted as some class.
    """
    undefined = int(np.isnan(scores).any(axis=1).sum())
    got = Text(f"NaN for {undefined} of {len(scores)} images")
    require(not undefined, argument, "predict numbers", got)
    return int(correct(scores, y).sum())


def check_images_of(estimator: Any, images: Array, n: int, cell: str) -> None:
    """Refuse images of another number, layout or range than the estimator is judged on; warn of pixels just outside."""
    rule = f"return the {n} images to be judged"
    require(len(images) == n, f"cells[{cell!r}]", rule, Text(f"{len(images)} images"))
    tensor = from_array(np.asarray(images))
    check_layout(tensor, estimator)
    low, high = clip_bounds(getattr(estimator, "clip_values", None), tuple(tensor.shape[1:]), tensor.device)
    said = check_pixels(tensor, low, high)
    if said is not None:
        warnings.warn(f"the images of cell {cell!r} should {said}", RuntimeWarning, stacklevel=4)


def predicted_scores(estimator: Any, x: Array) -> Array:
    """What an estimator predicts for the images ``x``, (N, K) with K >= 2.

    A single output unit tells two classes apart, as the estimator's loss says.
    """
    found = torch.as_tensor(predict(estimator, x, batch_size=BATCH_SIZE))
    scores: Array = class_scores(found, len(x), getattr(estimator, "_loss", None)).numpy()
    return scores


@suggesting_names
def accuracy_rows(
    models: Mapping[str, Any], cells: Mapping[str, Cell], x: Array, y: Array, *, verbose: bool = False
) -> tuple[Row, ...]:
    """Judge each model in each cell: accuracies alone, where :func:`~art_domainrand.evaluation.evaluate` keeps a table.

    :param models: ART estimators by name.
    :param cells: functions from an estimator, images and class indices to the images on which it is judged, by name.
    :param x: images (N, C, H, W), N >= 1, in the estimators' range.
    :param y: their class indices, (N,).
    :param verbose: show a progress bar.
    :return: one row for each pair, model by model.
    :raises ValueError: for labels that do not fit, and for an estimator that predicts NaN.
    """
    for name, value in (("models", models), ("cells", cells)):
        require(isinstance(value, Mapping), name, "be a mapping from names", Text(type(value).__name__), TypeError)
    for name, cell in cells.items():
        rule = (
            "be a function of estimator, images and labels (for an attack: lambda e, x, y: PGD(e, ...).generate(x, y))"
        )
        require(callable(cell), f"cells[{name!r}]", rule, Text(type(cell).__name__), TypeError)
    require(len(x) > 0, "x", "hold at least one image", len(x))
    indices = np.ndim(y) == 1 and len(y) == len(x)
    require(indices, "y", f"hold one class index for each of the {len(x)} images", Text(f"shape {np.shape(y)}"))
    pairs = [(model, cell) for model in models for cell in cells]
    rows = []
    for model, cell in (bar := tqdm(pairs, desc="evaluating", unit="cell", disable=not verbose)):
        bar.set_postfix_str(f"{model}, {cell}")
        images = cells[cell](models[model], x, y)
        check_images_of(models[model], images, len(x), cell)
        rows.append(Row.count(model, cell, count_correct(predicted_scores(models[model], images), y), len(y)))
    return tuple(rows)
