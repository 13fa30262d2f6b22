"""The rows to train on: originals, randomized copies and adversarial images of a batch, made on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.core.arrays import from_array
from art_domainrand.core.checks import Text, require
from art_domainrand.core.memory import onto
from art_domainrand.core.random import CHOICE, DRAW, MIX, keys_of, seeds_of, times_before, uniform
from art_domainrand.preprocessors.base import PipelinePreprocessor
from art_domainrand.preprocessors.domain_randomization import DomainRandomization
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.sampling import keyed_draws
from art_domainrand.randomization.labels.mixing import Mixing
from art_domainrand.training.data.epochs import Samples
from art_domainrand.training.data.proportions import Mix, spread_copies
from art_domainrand.training.data.sources import BatchLabels, Pair, labels_of


@dataclass(frozen=True)
class BatchMaker:
    """Turns the images of a batch into the rows of ``mix``, on ``device``, in float32.

    Adversarial images are those of ``attack`` on randomized ones: on the batch's randomized copies, the first of them
    if there are more, and on further ones if there are fewer. ``mixing`` then mixes all rows in pairs, for which index
    labels need ``nb_classes``. ``randomization`` None leaves images as they are.
    """

    mix: Mix
    randomization: PipelinePreprocessor | None
    attack: Any
    mixing: Mixing | None
    nb_classes: int | None
    channels_first: bool
    device: torch.device

    def make(self, samples: Samples, seed: int) -> Pair:
        """The rows and their labels.

        :param samples: of which the rows are made.
        :param seed: of the epoch; every choice of chance is a function of it and of what a sample is known by.
        """
        x, y, ids, times = samples.x, samples.y, samples.keys.ids, samples.keys.times
        originals, copies, adversarial = self.mix.of(len(x))
        wanted = max(copies, adversarial)
        even = wanted % len(x) == 0  # then there is nothing to choose
        changed = spread_copies(ids if even else keys_of(seed, CHOICE, ids, times), wanted)
        images = onto(self.device, x).to(torch.float32)
        parts = [(images, _to(y, self.device))] if originals else []
        if len(changed):
            taken = images if torch.equal(changed, torch.arange(len(x))) else images[changed.to(self.device)]
            keys = keys_of(seed, DRAW, ids[changed], times[changed], torch.arange(len(changed)) // len(x))
            shown, labels = self._randomized(taken, _to(labels_of(y, changed), self.device), keys)
            parts.append((shown[:copies], labels[:copies]))
            if adversarial:
                targets = labels[:adversarial]
                parts.append((run_attack(self.attack, shown[:adversarial], targets), targets))
        made = torch.cat([x for x, _ in parts]), _joined([y for _, y in parts])
        if self.mixing is None:
            return made
        all_rows = torch.arange(len(x) if originals else 0)
        rows = torch.cat((all_rows, changed[:copies], changed[:adversarial]))
        return self._mixed(*made, self.mixing, keys_of(seed, MIX, ids[rows], times[rows], times_before(rows)))

    def _randomized(self, x: Tensor, y: BatchLabels, keys: Tensor) -> Pair:
        if self.randomization is None:
            return x, y
        draw = keyed_draws(self.randomization.pipeline, keys).to(self.device)
        with torch.no_grad():
            if isinstance(y, list):
                with self.randomization.replay(draw):
                    return self.randomization.forward(x, y)
            return self.randomization.randomize(x, draw), y

    def _mixed(self, x: Tensor, y: BatchLabels, mixing: Mixing, keys: Tensor) -> Pair:
        require(isinstance(y, Tensor), "mixing", "be None where the labels are detections", mixing)
        assert isinstance(y, Tensor)
        rows = y.dim() == 2 and y.shape[1] > 1
        rule = "be given for a mixing of labels that are indices"
        require(rows or self.nb_classes is not None, "nb_classes", rule, None)
        draw = Draw(uniform(keys, (mixing.coordinates,)), seeds_of(keys)).to(self.device)
        first = x if self.channels_first else x.movedim(-1, -3)
        mixed, soft = mixing.mix(first, y.float() if rows else y.flatten(), draw, None if rows else self.nb_classes)
        return mixed if self.channels_first else mixed.movedim(-3, -1), soft


def as_randomization(
    randomization: Any, clip_values: tuple[Any, Any] | None, channels_first: bool | None, device: str = "gpu"
) -> PipelinePreprocessor:
    """Read a pipeline, what one is made from, or a preprocessor that holds one; the latter knows range and layout."""
    if not isinstance(randomization, PipelinePreprocessor):
        limits = (0, 1) if clip_values is None else clip_values
        first = True if channels_first is None else channels_first
        return DomainRandomization(randomization, clip_values=limits, channels_first=first, device_type=device)
    for name, value in (("clip_values", clip_values), ("channels_first", channels_first)):
        require(
            value is None,
            name,
            f"be None where randomization is a {type(randomization).__name__}, which has its own",
            value,
        )
    return randomization


def check_parts(attack: Any, mixing: Any) -> None:
    """Raise TypeError for what is no attack or no mixing, ValueError for a targeted attack: no label is its."""
    require(mixing is None or isinstance(mixing, Mixing), "mixing", "be None, MixUp or CutMix", mixing, TypeError)
    if attack is not None:
        kind = Text(type(attack).__name__)
        require(callable(getattr(attack, "generate", None)), "attack", "be an attack of ART", kind, TypeError)
        require(not getattr(attack, "targeted", False), "attack", "be untargeted", Text("targeted=True"))


def run_attack(attack: Any, x: Tensor, y: BatchLabels) -> Tensor:
    """The adversarial images of ``attack`` for ``x``, without a progress bar; on the device where the attack can."""
    shows = "verbose" in getattr(attack, "attack_params", ()) and attack.verbose
    if shows:
        attack.set_params(verbose=False)  # ART's PGD has to tell its inner attack
    try:
        if hasattr(attack, "perturb"):
            return attack.perturb(x, y).detach().to(x)  # type: ignore[no-any-return]
        return from_array(attack.generate(x.cpu().numpy(), y=to_numpy(y))).to(x)
    finally:
        if shows:
            attack.set_params(verbose=shows)


def to_numpy(y: BatchLabels) -> NDArray[Any] | list[Any]:
    """BatchLabels as ART takes them."""
    if isinstance(y, Tensor):
        return y.cpu().numpy()  # type: ignore[no-any-return]
    return [{key: np.asarray(torch.as_tensor(value).cpu()) for key, value in label.items()} for label in y]


def _to(y: BatchLabels, device: torch.device) -> BatchLabels:
    return onto(device, y) if isinstance(y, Tensor) else y


def _joined(parts: list[BatchLabels]) -> BatchLabels:
    if isinstance(parts[0], list):
        return [label for part in parts for label in part]
    return torch.cat(parts)  # type: ignore[arg-type]
