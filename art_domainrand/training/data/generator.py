"""A data generator of ART whose images are randomized afresh in every epoch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from art.data_generators import DataGenerator
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset

from art_domainrand.core.checks import check_counts, check_flags, require
from art_domainrand.core.pixels import ClipRange
from art_domainrand.core.renaming import renaming
from art_domainrand.core.streams import Stream
from art_domainrand.estimators.kinds import is_device_estimator
from art_domainrand.randomization.labels.mixing import Mixing
from art_domainrand.training.data.batches import BatchMaker, as_randomization, check_parts, to_numpy
from art_domainrand.training.data.epochs import Epochs
from art_domainrand.training.data.proportions import plan_batch
from art_domainrand.training.data.small_batches import WHY, refuses_one_image
from art_domainrand.training.data.sources import Pair, open_source


class RandomizedDataGenerator(DataGenerator):
    """Batches of originals, freshly randomized copies and, if asked for, adversarial images, for ``fit_generator``.

    ``classifier.fit_generator(generator, nb_epochs)`` and the trainers' ``fit_generator`` see new draws in each epoch,
    and the images of an epoch in a new order, each exactly once. Clean and adversarial views that a trainer compares
    (TRADES, AWP, OAAT) are views of one draw, since the randomizing is done before the trainer. Leave the same
    randomization out of the classifier's preprocessing, or the images are randomized twice. ``AdversarialTrainer`` with
    an attack on another model pairs stored images with labels of others, whatever the generator: give that
    attack to the generator instead, as ``attack``, and the generator to ``classifier.fit_generator``.

    :param x: images (N, C, H, W) or (N, H, W, C), or videos, as an array or tensor; or a map-style
        ``torch.utils.data.Dataset`` of pairs (image, label); or a DataLoader of one, of which the dataset, its order
        (or its sampler), its workers and their functions are kept.
    :param y: the labels of an array ``x``: indices (N,), rows (N, K) such as one-hot ones, or a list with a dictionary
        of detections for each image, whose boxes follow. They are passed on in the form they come in.
    :param batch_size: the rows of a batch, copies and adversarial images included.
    :param randomization: a pipeline, what one is made from, or a preprocessor with one, as :class:`DomainMapping`.
    :param attack: an attack of ART, untargeted; adversarial images are made from randomized ones as they are asked for,
        with the weights that the attacked model has by then. Those of this library stay on the device. An attack
        without a seed draws its random starts from ``np.random``.
    :param proportions: the ratio of originals to randomized copies to adversarial images; None is (1, 1, 0), and
        (1, 1, 1) with an attack. The first kind that is present shows each image once an epoch; the others are copies
        of the same batch's images. A batch's rows come in this order.
    :param clip_values: the smallest and the largest pixel value, (0, 1) by default.
    :param channels_first: whether images are (C, H, W) rather than (H, W, C), as they are by default.
    :param seed: an int >= 0 makes every run see the same batches, whatever the number of workers (unless the dataset
        draws at random itself); None takes fresh entropy. What a sample draws is a function of the seed, the epoch, its
        place in the data and which copy it is, whatever the batch size. Copies and forked processes take streams of
        their own.
        No global generator is touched, but by a random sampler of a DataLoader that has no generator of its own.
    :param shuffle: None shuffles, or does as the DataLoader does; False keeps the order.
    :param drop_last: leave out an epoch's last batch if it is not full. Otherwise it has as many rows as its images
        make in the same proportions, with a warning if that is one, on which batch normalization cannot train.
    :param mixing: a :class:`MixUp` or :class:`CutMix` of all the rows of a batch; the labels become probabilities.
    :param nb_classes: the number of classes, for ``mixing`` of index labels.
    :param num_workers: processes that read a dataset; None is a DataLoader's own number, or 0.
    :param pin_memory: read into memory from which a GPU copies faster; without a GPU it has no effect.
    :param device_type: where batches are made, "gpu" (if there is one) or "cpu"; with an attack it is the device of
        the attacked model.

    ``size`` is the number of batches times ``batch_size``, so that ART's loops, which count ``size / batch_size``
    batches, rounded up or down, go through an epoch exactly. ``get_batch`` goes on to the next epoch after an epoch's
    last batch; iterating over the generator yields the batches of one new epoch as arrays, :meth:`tensors` as tensors,
    and :meth:`loader` as a DataLoader. Images are float32 throughout.

    :raises ValueError, TypeError: for arguments as said above, ValueError for pixels outside ``clip_values`` or NaN.
    """

    @renaming(pipeline="randomization")
    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int,
        randomization: Any,
        attack: Any = None,
        proportions: tuple[float, float, float] | None = None,
        clip_values: tuple[Any, Any] | None = None,
        channels_first: bool | None = None,
        seed: int | None = None,
        shuffle: bool | None = None,
        drop_last: bool = False,
        mixing: Mixing | None = None,
        nb_classes: int | None = None,
        num_workers: int | None = None,
        pin_memory: bool | None = None,
        device_type: str = "gpu",
    ) -> None:
        check_counts(batch_size=batch_size)
        check_flags(drop_last=drop_last)
        check_parts(attack, mixing)
        mix = plan_batch(int(batch_size), proportions, attack is not None)
        made = as_randomization(randomization, clip_values, channels_first, device_type)
        source = open_source(x, y, shuffle=shuffle, num_workers=num_workers, pin_memory=pin_memory)
        device = attack.estimator.device if is_device_attack(attack) else torch.device(made.device)
        self._maker = BatchMaker(mix, made, attack, mixing, nb_classes, made.channels_first, device)
        self._epochs = Epochs(source, mix.sources, bool(drop_last), ClipRange(made.clip_values))
        rule = f"be at most that of the {len(source)} images where drop_last leaves out what is not full"
        require(len(self._epochs) > 0, "batch_size", rule, batch_size)
        unfit = attack is None or refuses_one_image(getattr(attack, "estimator", None))
        if self.last_rows == 1 and batch_size > 1 and unfit:
            cure = "drop_last=True leaves it out, or choose another batch_size"
            warnings.warn(f"the last batch of an epoch has one row, {WHY}; {cure}", stacklevel=4)
        super().__init__(size=len(self._epochs) * int(batch_size), batch_size=int(batch_size))
        self._iterator = self
        self._stream = Stream(seed)
        self._started = 0
        self._current: Iterator[tuple[NDArray[Any], Any]] = iter(())

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return len(self._epochs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.images} images, {len(self)} batches of {self.rows} rows)"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_current": iter(())}  # a copy begins with an epoch of its own

    @property
    def images(self) -> int:
        """How many images an epoch goes through."""
        return len(self._epochs.source)

    @property
    def rows(self) -> tuple[int, int, int]:
        """How many originals, randomized copies and adversarial images a full batch has, in this order."""
        return self._maker.mix.rows

    @property
    def last_rows(self) -> int:
        """How many rows the last batch of an epoch has."""
        return sum(self._maker.mix.of(self._epochs.last))

    def tensors(self) -> Iterator[Pair]:
        """Yield the batches of a new epoch as tensors on the device (detections as a list)."""
        number, self._started = self._started, self._started + 1
        seed = self._stream.next_seed()
        return (self._maker.make(samples, seed) for samples in self._epochs.read(number, seed))

    def __iter__(self) -> Iterator[tuple[NDArray[Any], Any]]:
        """Yield the batches of a new epoch as arrays (detections as a list)."""
        return ((x.cpu().numpy(), to_numpy(y)) for x, y in self.tensors())

    def get_batch(self) -> tuple[NDArray[Any], Any]:
        """The next batch of the current epoch, or the first of a new one, as arrays."""
        batch = next(self._current, None)
        if batch is None:
            self._current = iter(self)
            batch = next(self._current)
        return batch

    def loader(self) -> DataLoader[Any]:
        """A ``torch.utils.data.DataLoader`` of the same batches: each pass over it is a new epoch, as :meth:`tensors`.

        For training loops that ask for one, and for ART's ``PyTorchDataGenerator(generator.loader(), generator.size,
        generator.batch_size)``, with which ``PyTorchClassifier.fit_generator`` skips all preprocessing if the
        classifier has the default one, and then takes one-hot labels only.
        """
        return DataLoader(_EpochView(self), batch_size=None)


class _EpochView(IterableDataset):  # type: ignore[type-arg]
    """One new epoch of a generator for each pass."""

    def __init__(self, generator: RandomizedDataGenerator) -> None:
        self.generator = generator

    def __iter__(self) -> Iterator[Pair]:
        return self.generator.tensors()

    def __len__(self) -> int:
        return len(self.generator)


def is_device_attack(attack: Any) -> bool:
    """Whether ``attack`` is on a model that this library keeps on its device."""
    return attack is not None and is_device_estimator(getattr(attack, "estimator", None))
