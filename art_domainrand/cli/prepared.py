"""From what a run is told to what it works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from art_domainrand.cli.app import complain, leads
from art_domainrand.cli.asked_conditions import asked_conditions
from art_domainrand.cli.config_paths import OWN_NAME
from art_domainrand.cli.run_config import RunConfig
from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.kinds import Condition
from art_domainrand.evaluation.sources import LabelledSource, open_data
from art_domainrand.loading import ModelRequest, demo_models, load_estimator, runs_code
from art_domainrand.loading.demo_models import SHOWCASE
from art_domainrand.loading.estimator import PRETRAINED
from art_domainrand.loading.registries import REGISTRIES

SIZED = ("digits", "imagefolder")
"""Data whose images can be had in any size."""

CHANNELS = 3
"""How many channels images of folders have."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run works with.

    :param models: estimators by name.
    :param data: the images.
    :param conditions: what they are judged under, by name.
    """

    models: Mapping[str, Any]
    data: LabelledSource
    conditions: Mapping[str, Condition]


def prepare_run(config: RunConfig) -> Prepared:
    """Open the data, make the conditions and load the models that a run names: what takes longest comes last.

    :param config: the run.
    :raises ValueError: for what there is not, or does not fit; also OSError.
    """
    data = named_data(config)
    channels = int(data.shape[0])
    conditions = asked_conditions(config, channels)
    models = models_of(config, data)
    width = pixel_range(models)
    return Prepared(models, data, conditions if width == 1 else asked_conditions(config, channels, width))


def pixel_range(models: Mapping[str, Any]) -> float:
    """The width of the range of pixels, which must be the same for all models: radii are in its units."""
    ranges = {name: getattr(model, "clip_values", None) for name, model in models.items()}
    found = {name: 1.0 if one is None else float(np.max(one[1]) - np.min(one[0])) for name, one in ranges.items()}
    require(len(set(found.values())) == 1, "--model", "have the same range of pixels for all", Text(f"{found}"))
    return next(iter(found.values()))


def models_of(config: RunConfig, data: LabelledSource) -> dict[str, Any]:
    """The models that a run names, or else the demo's networks."""
    if not config.model:
        require(config.data == "digits", "--model", "be given for other data than digits", config.data)
        if leads():
            complain("no --model: two small networks are trained on digits first, which takes some seconds", "Note: ")
        return demo_models(data.shape[-1], config.seed, verbose=leads())
    files = config.weights or (None,) * len(config.model)
    found: dict[str, Any] = {}
    for entry, weights in zip(config.model, files, strict=True):
        name, model = named_model(entry)
        require(name not in found, "--model", "have names of their own, as in NAME=MODEL,", name)
        found[name] = loaded_model(ModelRequest(model, weights, config.mean, config.std), data, config.seed)
    return found


def one_model(prepared: Prepared) -> tuple[str, Any]:
    """The only model and its name; of the demo's networks, the first.

    :param prepared: what a run works with.
    :raises ValueError: for several.
    """
    named = list(prepared.models.items())
    require(len(named) == 1 or named[0][0] == SHOWCASE[0], "--model", "be one", Text(f"{list(prepared.models)}"))
    return named[0]


def loaded_model(request: ModelRequest, data: LabelledSource, seed: int) -> Any:
    """One model, after saying what of it runs and what of it is random."""
    place, code = request.model.rpartition(":")[0], runs_code(request.model)
    if leads() and code is not None:
        complain(f"--model runs what is in {code}", "Note: ")
    if leads() and place in REGISTRIES and place != "hf" and request.weights is None:
        advice = f"give --weights FILE or --weights {PRETRAINED}"
        complain(f"{request.model} has no weights: its figures are those of a random network; {advice}", "Warning: ")
    classes = None if data.classes is None else len(data.classes)
    labels = getattr(data, "y", None)
    least = 2 if labels is None or not len(labels) else max(2, int(labels.max()) + 1)
    return load_estimator(request, tuple(data.shape), classes, seed, least=least)


def named_model(entry: str) -> tuple[str, str]:
    """The name of a model and what it is: of ``NAME=MODEL``, or a name made of the model."""
    own = OWN_NAME.fullmatch(entry)
    if own is not None:
        return own[1].strip(), own[2]
    place, colon, name = entry.rpartition(":")
    if not colon:
        return Path(entry).stem, entry
    return name if place in REGISTRIES else f"{Path(place).stem if place.endswith('.py') else place}:{name}", entry


def named_data(config: RunConfig) -> LabelledSource:
    """The data of a run, opened; images of folders in the size of the run."""
    kind, size = config.data.partition(":")[0], config.size
    name = f"{config.data}:{size}" if size is not None and config.data == "digits" else config.data
    shape = (CHANNELS, size, size) if size is not None and kind == "imagefolder" else None
    data = open_data(name, shape=shape, download=config.download)
    sized = size is None or kind in SIZED
    require(sized, "--size", f"be given for {' and '.join(SIZED)} only: all images of others have one size", size)
    return data
