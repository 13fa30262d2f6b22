"""The batches to train on: originals, randomized copies and adversarial images, made on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import BatchSampler

from art_domainrand.core.arrays import from_array
from art_domainrand.core.checks import Said, require
from art_domainrand.core.pixels import ClipRange
from art_domainrand.preprocessors.base import PipelinePreprocessor
from art_domainrand.preprocessors.domain_randomization import DomainRandomization
from art_domainrand.preprocessors.streams import Stream
from art_domainrand.randomization.labels.mixing import Mixing
from art_domainrand.training.data.proportions import Mix, spread
from art_domainrand.training.data.small_batches import Joined
from art_domainrand.training.data.sources import Labels, Source, labels_of


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

    def make(self, x: Tensor, y: Labels, stream: Stream) -> tuple[Tensor, Labels]:
        """Return the rows and their labels; every choice of chance comes from ``stream``."""
        originals, copies, adversarial = self.mix.of(len(x))
        choice = torch.Generator().manual_seed(stream.next_seed())
        changed = spread(len(x), max(copies, adversarial), choice)
        images = onto(self.device, x).to(torch.float32)
        parts = [(images, _to(y, self.device))] if originals else []
        if len(changed):
            taken = images if torch.equal(changed, torch.arange(len(x))) else images[changed.to(self.device)]
            shown, labels = self._randomized(taken, _to(labels_of(y, changed), self.device), stream)
            parts.append((shown[:copies], labels[:copies]))
            if adversarial:
                targets = labels[:adversarial]
                parts.append((attacked(self.attack, shown[:adversarial], targets), targets))
        return self._mixed(torch.cat([x for x, _ in parts]), _joined([y for _, y in parts]), stream)

    def _randomized(self, x: Tensor, y: Labels, stream: Stream) -> tuple[Tensor, Labels]:
        if self.randomization is None:
            return x, y
        generator = torch.Generator(self.device).manual_seed(stream.next_seed())
        draw = self.randomization.pipeline.sample(len(x), generator)
        with torch.no_grad():
            if isinstance(y, list):
                with self.randomization.replay(draw):
                    return self.randomization.forward(x, y)
            return self.randomization.randomize(x, draw), y

    def _mixed(self, x: Tensor, y: Labels, stream: Stream) -> tuple[Tensor, Labels]:
        if self.mixing is None:
            return x, y
        require(isinstance(y, Tensor), "mixing", "be None where the labels are detections", self.mixing)
        named = self.nb_classes is not None or (y.dim() == 2 and y.shape[1] > 1)  # type: ignore[union-attr]
        require(named, "nb_classes", "be given for a mixing of labels that are indices", None)
        labels = y.float() if y.dim() == 2 and y.shape[1] > 1 else y.flatten()  # type: ignore[union-attr]
        draw = self.mixing.sample(len(x), torch.Generator(self.device).manual_seed(stream.next_seed()))
        first = x if self.channels_first else x.movedim(-1, -3)
        mixed, soft = self.mixing.mix(first, labels, draw, self.nb_classes if labels.dim() == 1 else None)
        return mixed if self.channels_first else mixed.movedim(-3, -1), soft


@dataclass(frozen=True)
class Epochs:
    """The epochs of a source: batches of ``maker.mix.sources`` images, each image once, turned into rows by ``maker``.

    ``encode`` changes the labels of a batch, on the host, before anything else sees them; None leaves them. ``limits``
    is the range that pixels must keep, None for any; they are checked on the host, where no one waits for a device.
    ``joined`` makes the last batch one with the one before.
    """

    source: Source
    maker: BatchMaker
    drop_last: bool
    limits: ClipRange | None
    encode: Callable[[Labels], Labels] | None = None
    joined: bool = False

    def __len__(self) -> int:
        """How many batches an epoch has."""
        images, sources = len(self.source), self.maker.mix.sources
        return images // sources if self.drop_last or self.joined else -(-images // sources)

    @property
    def last_rows(self) -> int:
        """The rows of an epoch's last batch, as it is before it is joined to the one before."""
        left = len(self.source) % self.maker.mix.sources
        return sum(self.maker.mix.of(left) if left and not self.drop_last else self.maker.mix.rows)

    def epoch(self, number: int, stream: Stream, order: Iterable[int] | None = None) -> Iterator[tuple[Tensor, Labels]]:
        """Yield the batches of epoch ``number``, in an order of its own unless one is given, drawn from ``stream``."""
        seed = stream.next_seed()
        if order is None:
            order = self._order(number, seed)
        batches: Any = BatchSampler(order, self.maker.mix.sources, self.drop_last)  # type: ignore[arg-type]
        batches = Joined(batches) if self.joined else batches
        for x, y in self.source.read(batches, seed):
            if self.limits is not None:
                self.limits.check(x)
            yield self.maker.make(x, y if self.encode is None else self.encode(y), stream)

    def _order(self, number: int, seed: int) -> Iterable[int]:
        own = self.source.own_order
        if own is not None:
            if hasattr(own, "set_epoch"):
                own.set_epoch(number)
            return own  # type: ignore[no-any-return]
        if not self.source.shuffle:
            return range(len(self.source))
        return torch.randperm(len(self.source), generator=torch.Generator().manual_seed(seed)).tolist()


def as_randomization(
    pipeline: Any, clip_values: tuple[Any, Any] | None, channels_first: bool | None, device: str = "gpu"
) -> PipelinePreprocessor:
    """Read a pipeline, what one is made from, or a preprocessor that holds one; the latter knows range and layout."""
    if not isinstance(pipeline, PipelinePreprocessor):
        limits = (0, 1) if clip_values is None else clip_values
        first = True if channels_first is None else channels_first
        return DomainRandomization(pipeline, clip_values=limits, channels_first=first, device_type=device)
    for name, value in (("clip_values", clip_values), ("channels_first", channels_first)):
        require(value is None, name, f"be None where pipeline is a {type(pipeline).__name__}, which has its own", value)
    return pipeline


def check_parts(attack: Any, mixing: Any) -> None:
    """Raise TypeError for what is no attack or no mixing, ValueError for a targeted attack: no label is its."""
    require(mixing is None or isinstance(mixing, Mixing), "mixing", "be None, MixUp or CutMix", mixing, TypeError)
    if attack is not None:
        kind = Said(type(attack).__name__)
        require(callable(getattr(attack, "generate", None)), "attack", "be an attack of ART", kind, TypeError)
        require(not getattr(attack, "targeted", False), "attack", "be untargeted", Said("targeted=True"))


def attacked(attack: Any, x: Tensor, y: Labels) -> Tensor:
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


def to_numpy(y: Labels) -> NDArray[Any] | list[Any]:
    """Labels as ART takes them."""
    if isinstance(y, Tensor):
        return y.cpu().numpy()  # type: ignore[no-any-return]
    return [{key: np.asarray(torch.as_tensor(value).cpu()) for key, value in label.items()} for label in y]


def onto(device: torch.device, values: Tensor) -> Tensor:
    """``values`` on the device; from pinned memory, so that nobody waits for what the device is doing."""
    loose = device.type == "cuda" and values.device.type == "cpu" and not values.is_pinned()
    return (values.pin_memory() if loose else values).to(device, non_blocking=True)


def _to(y: Labels, device: torch.device) -> Labels:
    return onto(device, y) if isinstance(y, Tensor) else y


def _joined(parts: list[Labels]) -> Labels:
    if isinstance(parts[0], list):
        return [label for part in parts for label in part]
    return torch.cat(parts)  # type: ignore[arg-type]
