"""What ART's ``fit`` does, with the images randomized afresh in every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from art.defences.trainer import Trainer
from art.estimators.classification.ensemble import EnsembleClassifier
from art.estimators.regression.pytorch import PyTorchRegressor
from art.utils import check_and_transform_label_format
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from art_domainrand.core.checks import Text, check_counts, check_flags, require
from art_domainrand.core.pixels import ClipRange
from art_domainrand.core.renaming import renaming
from art_domainrand.core.streams import Stream
from art_domainrand.estimators.preprocessing import model_forward
from art_domainrand.estimators.refused import RefusedEstimatorError
from art_domainrand.estimators.training import (
    backward,
    training_loss,
    training_preprocessing,
    trains_as_pytorch_classifier,
)
from art_domainrand.randomization.labels.mixing import Mixing
from art_domainrand.training.data.batches import BatchMaker, as_randomization, check_parts, to_numpy
from art_domainrand.training.data.epochs import Epochs
from art_domainrand.training.data.proportions import plan_batch
from art_domainrand.training.data.small_batches import advice_on_small_batches, joins_last
from art_domainrand.training.data.sources import BatchLabels, open_source

BatchStep = Callable[[Tensor, Any], None]


@renaming(pipeline="randomization")
def fit_randomized(
    classifier: Any,
    x: Any,
    y: Any = None,
    *,
    randomization: Any = None,
    batch_size: int = 128,
    nb_epochs: int = 10,
    attack: Any = None,
    proportions: tuple[float, float, float] | None = None,
    training_mode: bool = True,
    drop_last: bool = False,
    scheduler: Any = None,
    verbose: bool = False,
    seed: int | None = None,
    mixing: Mixing | None = None,
    clip_values: tuple[Any, Any] | None = None,
    channels_first: bool | None = None,
    num_workers: int | None = None,
    pin_memory: bool | None = None,
) -> None:
    """Train ``classifier`` as ``classifier.fit`` does, but draw the randomization anew for every batch of every epoch.

    ART's ``fit`` runs the preprocessors once over all the data before the first epoch, so that a random one freezes.
    Here each batch is randomized on the classifier's device, then goes through the classifier's own preprocessing
    (whatever has ``apply_fit``, the standardisation too; drawn anew where it is random), its loss and its optimizer.
    With a randomization that changes nothing, the weights are those of ``classifier.fit`` bit for bit. Estimators whose
    ``fit`` is not ``PyTorchClassifier``'s own (a regressor, a detector, one smoothed or of another framework) are given
    each batch through their ``fit``, so that what they add to training stays.

    :param classifier: an estimator of ART with an optimizer.
    :param x: images as an array or tensor, a map-style torch Dataset or a DataLoader, see
        :class:`RandomizedDataGenerator`.
    :param y: labels, one-hot (N, K) indices (N,), or probabilities if the loss takes them; None where ``x``
        yields them.
    :param randomization: a pipeline, what one is made from, or a preprocessor with one. None randomizes by the
        classifier's own preprocessing alone, of which each batch then sees a new draw.
    :param batch_size: rows of a batch, adversarial images and copies included.
    :param nb_epochs: how often each image is trained on.
    :param attack: an untargeted attack; part of each batch is then adversarial, made from randomized images.
    :param proportions: originals to randomized copies to adversarial images; None is (0, 1, 0), all randomized, and
        (0, 1, 1) with an attack. See :class:`RandomizedDataGenerator`.
    :param training_mode: whether the model trains in training mode.
    :param drop_last: leave out an epoch's last batch if it is not full. Otherwise one of a single row, on which batch
        normalization in the model cannot train, joins the batch before, with a warning.
    :param scheduler: a learning rate scheduler, stepped after every epoch.
    :param verbose: show a progress bar.
    :param seed: an int >= 0 repeats order and draws. None takes fresh entropy for the draws, and leaves the order to
        torch's global generator, drawn as ART's ``fit`` draws it. Dropout and the like always are the model's own.
    :param mixing: a :class:`MixUp` or :class:`CutMix` of every batch; the loss must take probabilities.
    :param clip_values: the range of the pixels, by default that of the classifier, or (0, 1) if it has none.
    :param channels_first: the layout of the images, by default that of the classifier.
    :param num_workers: processes that read a dataset; None is a DataLoader's own number, or 0.
    :param pin_memory: read into memory from which a GPU copies faster; without a GPU it has no effect.

    :raises ValueError, TypeError: for arguments as said above, for pixels outside ``clip_values`` and for a classifier
        without an optimizer; TypeError for a trainer: give its ``fit_generator`` a :class:`RandomizedDataGenerator`.
    """
    _check_estimator(classifier)
    check_counts(batch_size=batch_size, nb_epochs=nb_epochs)
    check_flags(training_mode=training_mode, drop_last=drop_last, verbose=verbose)
    check_parts(attack, mixing)
    made = _randomization(classifier, randomization, clip_values, channels_first)
    if proportions is None:
        proportions = (0, 1, 0) if attack is None else (0, 1, 1)
    mix = plan_batch(int(batch_size), proportions, attack is not None)
    features = made is None and mixing is None
    source = open_source(x, y, num_workers=num_workers, pin_memory=pin_memory, features=features)
    alike = trains_as_pytorch_classifier(classifier)
    device = classifier.device if isinstance(getattr(classifier, "device", None), torch.device) else torch.device("cpu")
    first = classifier.channels_first if made is None else made.channels_first
    classes = getattr(classifier, "nb_classes", None)
    maker = BatchMaker(mix, made, attack, mixing, classes, bool(first), device)
    limits = None if made is None else ClipRange(made.clip_values)
    epochs = Epochs(source, mix.sources, bool(drop_last), limits, _one_hot(classes) if alike else None)
    if training_mode and joins_last(classifier, sum(mix.rows), sum(mix.of(epochs.last)), len(epochs), stacklevel=5):
        epochs = replace(epochs, joined=True)
    step = _own_step(classifier, training_mode) if alike else _step_through_fit(classifier, training_mode)
    stream = Stream(seed)
    for number in tqdm(range(nb_epochs), disable=not verbose, desc="Epochs"):
        order = _order_of_art(len(source)) if seed is None and source.shuffle else None
        epoch_seed = stream.next_seed()
        with warmed_up(classifier, number):
            for samples in epochs.read(number, epoch_seed, order):
                step(*maker.make(samples, epoch_seed))
        if scheduler is not None:
            scheduler.step()


def _check_estimator(classifier: Any) -> None:
    name, refused = Text(type(classifier).__name__), RefusedEstimatorError.of(classifier)
    rule = "be an estimator, not a trainer; use trainer.fit_generator(RandomizedDataGenerator(...))"
    require(not isinstance(classifier, Trainer), "classifier", rule, name, refused)
    require(callable(getattr(classifier, "fit", None)), "classifier", "be an estimator of ART", name, refused)
    members = "be no ensemble: ART trains none, fit its members one by one"
    require(not isinstance(classifier, EnsembleClassifier), "classifier", members, name, refused)
    if trains_as_pytorch_classifier(classifier):
        require(classifier.optimizer is not None, "classifier", "have an optimizer", Text("optimizer=None"))


def _randomization(classifier: Any, randomization: Any, clip_values: Any, channels_first: Any) -> Any:
    if randomization is None:
        return None
    if hasattr(randomization, "forward") and hasattr(randomization, "clip_values"):
        return as_randomization(randomization, clip_values, channels_first)
    limits = getattr(classifier, "clip_values", None) if clip_values is None else clip_values
    layout = getattr(classifier, "channels_first", None) if channels_first is None else channels_first
    return as_randomization(randomization, limits, layout)


def _order_of_art(images: int) -> Iterable[int]:
    """A new order, by the numbers that the DataLoader of ART's ``fit`` would take from torch's global generator."""
    everything: DataLoader[Any] = DataLoader(range(images), batch_size=images, shuffle=True, collate_fn=list)  # type: ignore[arg-type]
    return next(iter(everything))  # type: ignore[no-any-return]


@contextmanager
def warmed_up(estimator: Any, epoch: int) -> Iterator[None]:
    """Tell an estimator with a ``warmup``, as ART's SmoothAdv has, the epoch: its ``fit`` takes each for the first.

    What it warms up grows by (1 + epoch) / warmup.
    """
    epochs = getattr(estimator, "warmup", None)
    if not isinstance(epochs, (int, float)):
        yield
        return
    estimator.warmup = max(1.0, epochs / (epoch + 1))
    try:
        yield
    finally:
        estimator.warmup = epochs


def _one_hot(nb_classes: int | None) -> Callable[[BatchLabels], BatchLabels]:
    def encode(y: BatchLabels) -> BatchLabels:
        require(isinstance(y, Tensor), "y", "hold class labels for a classifier", Text("detections"))
        if nb_classes is not None and len(y) and not y.is_floating_point() and y.numel() == len(y):  # type: ignore[union-attr]
            ends = int(y.min()), int(y.max())  # type: ignore[union-attr]
            got = Text(f"{ends[0]} to {ends[1]}")
            require(ends[0] >= 0 and ends[1] < nb_classes, "y", f"hold classes from 0 to {nb_classes - 1}", got)
        return torch.from_numpy(check_and_transform_label_format(y.cpu().numpy(), nb_classes))  # type: ignore[union-attr]

    return encode


def _own_step(classifier: Any, training_mode: bool) -> BatchStep:
    """One step of ``PyTorchClassifier.fit``, with tensors that are on the device already."""
    forward, preprocess = model_forward(classifier), training_preprocessing(classifier)

    def step(x: Tensor, y: Tensor) -> None:
        classifier.model.train(mode=training_mode)  # an attack may have changed it
        with torch.no_grad():
            x, y = preprocess(x, y)
        classifier.optimizer.zero_grad()
        with advice_on_small_batches("set drop_last=True"):
            outputs = forward(x)
        backward(classifier, training_loss(classifier, outputs, y))
        classifier.optimizer.step()

    return step


def _step_through_fit(estimator: Any, training_mode: bool) -> BatchStep:
    """One epoch of the estimator's own ``fit`` on a single batch."""
    options = {} if training_mode else {"training_mode": False}  # not every fit knows it

    def step(x: Tensor, y: BatchLabels) -> None:
        if isinstance(estimator, PyTorchRegressor) and isinstance(y, Tensor) and y.shape == (len(x), 1):
            y = y[:, 0]  # ART's fit flattens the outputs, and torch would broadcast both to (N, N)
        estimator.fit(x.cpu().numpy(), to_numpy(y), batch_size=len(x), nb_epochs=1, **options)

    return step
