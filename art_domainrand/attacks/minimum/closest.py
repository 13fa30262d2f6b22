"""The closest adversarial examples that were found, and the robustness curve that they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.checks import require


@dataclass(frozen=True, eq=False, repr=False)
class Closest:
    """The closest adversarial example of each of N images.

    :param images: The examples, (N, ...), as an array or tensor like what was attacked; an image without an example,
        or misclassified as it is, is as it was. None when read from JSON.
    :param distances: (N,) float64, how far the examples are: 0 where an image is misclassified as it is, infinite where
        none was found.
    :param norm: In which norm: 0, 1, 2 or inf; in units of ``clip_values``, in L0 how many entries differ.
    :param forwards: How many images went forward through the model, for all N together.
    :param backwards: How many gradients of images were taken.
    """

    images: Any
    distances: NDArray[np.float64]
    norm: float
    forwards: int
    backwards: int

    def __len__(self) -> int:
        return len(self.distances)

    def __repr__(self) -> str:
        median = f"{self.median:.4g}" if len(self) else "none"
        norm = "L-inf" if np.isinf(self.norm) else f"L{self.norm:g}"
        wrong = int((self.distances == 0).sum())
        return (
            f"<Closest of {len(self)} images in {norm}: median distance {median}, {wrong} misclassified as they are, "
            f"{int((~self.found).sum())} without an example, {self.evaluations:g} evaluations each>"
        )

    @property
    def found(self) -> NDArray[np.bool_]:
        """(N,) whether there is an example."""
        return np.isfinite(self.distances)

    @property
    def median(self) -> float:
        """The distance at which half of the images are broken; infinite if fewer are."""
        return float(np.median(self.distances)) if len(self) else float("nan")

    @property
    def evaluations(self) -> float:
        """Model evaluations per image: a forward pass counts one, and so does a backward pass."""
        return (self.forwards + self.backwards) / max(len(self), 1)

    def accuracy(self, eps: Any) -> Any:
        """Robust accuracy: the share of images without an example within ``eps``.

        :param eps: A radius >= 0 in the units of ``distances``, or an array of them.
        :return: One share, or an array of the shape of ``eps``.
        :raises ValueError: if ``eps`` is negative, NaN or no number.
        """
        radii = as_radii(eps)
        require(bool((radii >= 0).all()), "eps", "be >= 0", eps)
        standing = np.sort(self.distances)
        shares = 1 - np.searchsorted(standing, radii.ravel(), side="right") / max(len(self), 1)
        return float(shares[0]) if radii.ndim == 0 else shares.reshape(radii.shape)

    def to_json(self) -> str:
        """Everything but the images; an example that was not found has the distance null."""
        distances = [float(d) if np.isfinite(d) else None for d in self.distances]
        document = {
            "norm": "inf" if np.isinf(self.norm) else self.norm,
            "distances": distances,
            "forwards": self.forwards,
            "backwards": self.backwards,
        }
        return json.dumps(document, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Closest:
        """Read what :meth:`to_json` wrote; without the images.

        :param text: What it wrote.
        """
        document = json.loads(text)
        distances = np.array([np.inf if d is None else d for d in document["distances"]], dtype=np.float64)
        norm = float(document["norm"])
        return cls(None, distances, norm, document["forwards"], document["backwards"])


def as_radii(eps: Any) -> NDArray[np.float64]:
    """``eps`` as numbers, or a ValueError that names it."""
    try:
        return np.asarray(eps, dtype=np.float64)
    except (TypeError, ValueError):
        require(False, "eps", "be a number or an array of numbers", eps)
        raise
