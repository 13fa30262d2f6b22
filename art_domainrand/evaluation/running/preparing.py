"""From what a user asks for to a plan, a manifest and the work to do."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from art_domainrand.core.environment import environment
from art_domainrand.estimators.moving import device_of
from art_domainrand.evaluation.conditions.documents import to_document
from art_domainrand.evaluation.conditions.kinds import Condition
from art_domainrand.evaluation.running.errors import located
from art_domainrand.evaluation.running.plan import Plan, batch_size_of, block_size_of, chosen_samples, families_of
from art_domainrand.evaluation.running.work import in_range_of
from art_domainrand.evaluation.sources.base import LabelledSource
from art_domainrand.evaluation.storage.identity import code_digests, fingerprint, said_of
from art_domainrand.evaluation.storage.manifest import MANIFEST_FILE, SCHEMA, check_same, write_json

RANDOM_PREDICTIONS = 10
"""How often a random model is asked of an image."""

FIRST_LOOK = 8
"""Of how many images a model is asked before it starts."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What a user asks for, checked.

    :param models: the estimators by name.
    :param conditions: the conditions by name.
    :param source: the data.
    :param seed: the seed.
    :param batch_size: how many images a model is shown at a time; None where that is left to us.
    :param device: where PyTorch models run; None leaves them where they are.
    :param limit: how many samples are judged at most.
    :param diagnosed: whether models are diagnosed.
    :param command: the command that was typed.
    """

    models: Mapping[str, Any]
    conditions: Mapping[str, Condition]
    source: LabelledSource
    seed: int
    batch_size: int | None
    device: str | None
    limit: int | None
    diagnosed: bool
    command: str | None

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of all classes that a label or a prediction may be of; those that nobody named are numbers."""
        most = max([2, *map(self._classes_of, self.models.values())])
        known = self.source.classes or ()
        return (*known, *(str(k) for k in range(len(known), most)))

    def _classes_of(self, estimator: Any) -> int:
        """How many classes a model knows: those that it says, or else those that it shows."""
        known = int(getattr(estimator, "nb_classes", 0) or 0)
        if known:
            return known
        x = self.source.read(np.zeros(1, np.int64)).x
        shown = np.shape(estimator.predict(in_range_of(estimator, x) if self.source.unit else x))
        return int(shown[-1]) if len(shown) == 2 else 0

    @property
    def where(self) -> str:
        """Where models run."""
        return self.device or next(map(device_of, self.models.values()))

    def plan(self) -> Plan:
        """The units."""
        samples = chosen_samples(len(self.source), self.limit, self.seed)
        families = families_of(list(self.conditions.values()))
        size = block_size_of(int(np.prod(self.source.shape)))
        return Plan(samples, size, len(self.models), families, self.diagnosed)

    def first_images(self, plan: Plan) -> dict[str, NDArray[np.float32]]:
        """A few images as each model sees them."""
        x = self.source.read(plan.samples[:FIRST_LOOK]).x
        return {name: in_range_of(e, x) if self.source.unit else x for name, e in self.models.items()}


def manifest_of(asked: Asked, plan: Plan, is_random: Callable[[Any, Any], bool]) -> dict[str, Any]:
    """What was asked for and with what, as plain data.

    :param asked: what was asked for.
    :param plan: the units.
    :param is_random: whether a model's predictions vary, from the model and some images.
    :raises EvaluationError: for data and models that cannot be looked at.
    """
    with located("data"):
        images, digest, shape = asked.first_images(plan), asked.source.digest(), asked.source.shape
        classes = list(asked.classes)
    models, predictions = {}, {}
    for name, estimator in asked.models.items():
        with located(f"model {name!r}"):
            predictions[name] = RANDOM_PREDICTIONS if is_random(estimator, images[name]) else 1
            says = said_of(estimator, images[name]) if predictions[name] == 1 else []
            known = {"fingerprint": fingerprint(estimator, images[name]), "says": says}
            models[name] = {"kind": type(estimator).__name__, **known}
    auto = batch_size_of(int(np.prod(shape)), plan.block_size, torch.device(asked.where).type)
    return {
        "schema": SCHEMA,
        "models": models,
        "conditions": {name: to_document(condition) for name, condition in asked.conditions.items()},
        "functions": code_digests(asked.conditions),
        "families": [list(family) for family in plan.families],
        "data": {
            "name": asked.source.name,
            "n": len(plan.samples),
            "of": len(asked.source),
            "shape": list(shape),
            "classes": classes,
            "digest": digest,
        },
        "seed": asked.seed,
        "predictions": predictions,
        "diagnosed": asked.diagnosed,
        "block_size": plan.block_size,
        "batch_size": asked.batch_size or auto,
        "command": asked.command,
        **environment(asked.where),
    }


def agreed(new: dict[str, Any], old: dict[str, Any] | None, folder: Path | None) -> dict[str, Any]:
    """The manifest that holds: that of the folder, if it is of the same evaluation; else the new one, now written.

    :param new: what is asked for now.
    :param old: the manifest that the folder has, if it has one.
    :param folder: the folder; None for none.
    :raises EvaluationError: if the folder holds another evaluation.
    """
    if folder is None:
        return new
    if old is None:
        with located("the results cannot be written"):
            write_json(folder / MANIFEST_FILE, new)
        return new
    check_same(old, new, folder)
    for what in ("versions", "device"):
        if old.get(what) != new[what]:
            warnings.warn(
                f"{folder} was begun with {what} {old.get(what)} and goes on with {new[what]}: rounding may differ",
                RuntimeWarning,
                stacklevel=5,
            )
    for name, code in new["functions"].items():
        if old.get("functions", {}).get(name) != code:
            warnings.warn(
                f"{folder} was begun with another function in {name!r}, whose finished parts stay: remove the folder "
                "if it does something else now",
                RuntimeWarning,
                stacklevel=5,
            )
    return old


@contextmanager
def so_many_threads(count: int) -> Iterator[None]:
    """torch computes with so many threads inside: sums depend on how they are shared out."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
