"""What a model says of images: asked in one way everywhere, and as often as its randomness needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from art.defences.postprocessor import ClassLabels
from numpy.typing import NDArray
from torch import nn

from art_domainrand.attacks.engine.randomness import is_random
from art_domainrand.core.arrays import Array
from art_domainrand.core.checks import Text, require
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.core.labels import correct
from art_domainrand.core.random import JUDGE, keys_of, seed_of
from art_domainrand.estimators import open_estimator, predict
from art_domainrand.estimators.preprocessing import random_preprocessors
from art_domainrand.estimators.scores import class_scores
from art_domainrand.estimators.state import left_as_found
from art_domainrand.randomization.core.sampling import keyed_draws

# How far a row of probabilities may be from a sum of one.
ROW_SUM_SLACK = 1e-4
# How many samples an error names.
NAMED_SAMPLES = 5


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a model says of n images in P predictions, (P, n) each.

    :param predicted: the class of the largest score, the first of equal ones.
    :param right: whether it is the label.
    :param margin: the score of the label minus the best other one.
    :param confidence: the probability of the predicted class; NaN where the model shows classes only.
    """

    predicted: NDArray[np.int64]
    right: NDArray[np.bool_]
    margin: NDArray[np.float64]
    confidence: NDArray[np.float64]

    @classmethod
    def of(cls, scores: Array, y: NDArray[np.int64], confidence: Array) -> Self:
        """Read the scores (P, n, K) of images with the class indices ``y`` (n,)."""
        predictions, n, _ = scores.shape
        right = np.stack([correct(one, y) for one in scores]) if n else np.empty((predictions, 0), bool)
        wide = scores.astype(np.float64)
        place = np.broadcast_to(y[None, :, None], (predictions, n, 1))
        own = np.take_along_axis(wide, place, 2)[..., 0]
        np.put_along_axis(wide, place, -np.inf, 2)
        with np.errstate(invalid="ignore"):  # -inf for a class that is ruled out
            margin = own - wide.max(2)
        return cls(scores.argmax(2), right, margin, confidence)

    def take(self, which: NDArray[Any]) -> Judgement:
        """Of some of the images."""
        return Judgement(
            self.predicted[:, which], self.right[:, which], self.margin[:, which], self.confidence[:, which]
        )

    def put(self, which: NDArray[Any], other: Judgement) -> None:
        """Write ``other`` in the place of what is said of the images ``which``."""
        for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True):
            mine[:, which] = theirs

    def copy(self) -> Judgement:
        """One that can be written to."""
        return Judgement(*(part.copy() for part in vars(self).values()))


@dataclass(frozen=True)
class Judge:
    """Asks an estimator for its predictions.

    :param estimator: any ART classifier.
    :param seed: of the evaluation; with a sample's place and the number of the prediction it decides what is drawn.
    :param predictions: how many predictions of each image; one for a model that is not random.
    :param batch_size: images at a time.
    """

    estimator: Any
    seed: int
    predictions: int
    batch_size: int

    @property
    def random(self) -> bool:
        """Whether predictions are taken to vary."""
        return self.predictions > 1 or bool(random_preprocessors(self.estimator))

    def verdict(self, images: Array, samples: NDArray[np.int64], y: NDArray[np.int64]) -> Judgement:
        """What the estimator says of images.

        :param images: (n, ...) in the estimator's range.
        :param samples: their places in the data, (n,).
        :param y: class indices, (n,).
        :raises ValueError: for scores that are NaN, of another number of rows, or too few for the labels.
        """
        if not len(images):
            empty = np.empty((self.predictions, 0))
            return Judgement(empty.astype(np.int64), empty.astype(bool), empty, empty.copy())
        found = [self._outputs(images, samples, draw) for draw in range(self.predictions)]
        scores, shares = (np.stack(part) for part in zip(*found, strict=True))
        classes = scores.shape[2]
        rule = f"have a score for each class of the labels (classes 0 to {y.max()})"
        require(classes > y.max(), "model output", rule, Text(f"{classes} scores"))
        return Judgement.of(scores, y, shares)

    def _outputs(self, images: Array, samples: NDArray[np.int64], draw: int) -> tuple[Array, Array]:
        """Scores (n, K) and the confidence (n,) of one prediction."""
        parts = []
        for first in range(0, len(images), self.batch_size):
            rows = slice(first, first + self.batch_size)
            with self._drawn(samples[rows], draw):
                parts.append(np.asarray(predict(self.estimator, images[rows].copy(), batch_size=self.batch_size)))
            check_numbers(parts[-1], samples[rows])
        outputs = np.concatenate(parts)
        loss = getattr(self.estimator, "_loss", None)
        scores = class_scores(torch.as_tensor(outputs), len(images), loss).numpy()
        if shows_classes_only(self.estimator):
            return scores, np.full(len(images), np.nan)
        if outputs.size == len(outputs) and isinstance(loss, nn.BCELoss):  # one unit, the share of the second class
            share = outputs.reshape(-1, 1)
            return scores, confidence_of(np.hstack([1 - share, share]))
        return scores, confidence_of(scores)

    @contextmanager
    def _drawn(self, samples: NDArray[np.int64], draw: int) -> Iterator[None]:
        """Inside, what the estimator draws is decided by the seed, the samples and the number of the prediction."""
        with ExitStack() as held:
            places = torch.as_tensor(samples)
            for number, preprocessor in enumerate(random_preprocessors(self.estimator)):
                keys = keys_of(self.seed, JUDGE, places, draw, number)
                held.enter_context(preprocessor.replay(keyed_draws(preprocessor.pipeline, keys)))
            held.enter_context(seeded_global_rng(seed_of(self.seed, JUDGE, int(samples[0]), draw)))
            yield


def is_random_model(estimator: Any, x: Array) -> bool:
    """Whether two predictions of the same images differ.

    :param estimator: any ART classifier; it is left as found, and so are the global generators.
    :param x: a few images, (n, ...).
    """
    images = torch.from_numpy(np.array(x, dtype=np.float32))
    with seeded_global_rng(0), left_as_found(estimator), open_estimator(estimator) as source:
        return is_random(source, images)


def check_numbers(outputs: Array, samples: NDArray[np.int64]) -> None:
    """Refuse outputs (n, ...) that are NaN, naming the samples."""
    undefined = np.isnan(outputs.reshape(len(outputs), -1)).any(1)
    if undefined.any() and len(outputs) == len(samples):
        places = samples[undefined]
        more = f" and {len(places) - NAMED_SAMPLES} more" if len(places) > NAMED_SAMPLES else ""
        named = ", ".join(str(place) for place in places[:NAMED_SAMPLES])
        raise ValueError(f"model output must be numbers, got NaN for sample(s) {named}{more}")


def confidence_of(scores: Array) -> NDArray[np.float64]:
    """The probability of the predicted class, (n,): the largest of a row of probabilities, else of its softmax."""
    wide = scores.astype(np.float64)
    top = wide.max(1)
    shares = (wide >= 0).all(1) & (np.abs(wide.sum(1) - 1) <= ROW_SUM_SLACK)
    with np.errstate(invalid="ignore"):
        softmax = 1 / np.exp(wide - top[:, None]).sum(1)
    found: NDArray[np.float64] = np.where(shares, top, softmax)
    return found


def shows_classes_only(estimator: Any) -> bool:
    """Whether a postprocessor of the estimator replaces its scores by its decisions."""
    defences = getattr(estimator, "postprocessing_defences", None) or []
    return any(isinstance(one, ClassLabels) and one.apply_predict for one in defences)
