"""A domain that was learned from two sets of images of which no two belong together."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.core.arguments import argument_names, suggesting_names
from art_domainrand.core.arrays import as_images, check_unit_range
from art_domainrand.core.checks import Text, check_counts, require
from art_domainrand.core.hashing import normal_field
from art_domainrand.core.random import checked_seed
from art_domainrand.generative.consistency import CONSISTENCIES, Consistency
from art_domainrand.generative.files import (
    absolute,
    at_home,
    network_of_file,
    read_network,
    weights_digest,
    whole_file_of,
    write_network,
)
from art_domainrand.generative.networks import cell_for, frozen_weights
from art_domainrand.generative.record import (
    VARIETY,
    VIEWED,
    FitRecord,
    sign_of_disagreement,
    sign_of_few,
    sign_of_victory,
    variety,
)
from art_domainrand.generative.translating import TranslationTraining
from art_domainrand.generative.translation_network import TranslationNetwork, TranslationShape
from art_domainrand.randomization.core.distributions import Constant, Range
from art_domainrand.randomization.core.transform import Values
from art_domainrand.randomization.domains.domain import HIGHEST, Domain
from art_domainrand.randomization.kept import KeptInFile

FULL_MAP = Constant(HIGHEST)
"""The severity of the full map."""


@dataclass(frozen=True, eq=False)
class DomainGenerator(Domain, KeptInFile):
    """Make images look like those of a target set, by a small network; call :meth:`fit` once, or :meth:`load`.

    The sets are unpaired: of no source image the target need hold the counterpart. Differentiable, and each image
    is mapped by itself, whatever else is in the batch (but for rounding). Images of any size are taken, of as many
    channels as were fitted to.

    :param severity: from 1 to 5, the full map. (:func:`~art_domainrand.domain_mapping` takes 3 unless told.)
    :param noise: channels of noise that the network is given, by which one image has many versions; 0 for one version.
    :param width: channels of the network.
    :param blocks: its residual blocks.
    :param cell: pixels a side of a cell of its grid, 1, 2 or 4; finer is slower. None: 2 for sides of 8 to 23, 4 above.
    :raises ValueError, TypeError: for values outside these bounds.
    """

    severity: Range = FULL_MAP
    noise: int = 1
    width: int = 32
    blocks: int = 2
    cell: int | None = None
    units: ClassVar[Mapping[str, str]] = {"severity": "from 1 to 5"}
    seen: ClassVar[tuple[str, ...]] = ("_networks", "_record", "_digest", "_file")
    kept_as: ClassVar[str] = "domain.generator"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(noise=self.noise, width=self.width, blocks=self.blocks)
        require(self.width >= 2, "width", "be >= 2", self.width)
        require(self.cell in (None, 1, 2, 4), "cell", "be None, 1, 2 or 4", self.cell)

    @property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether there is noise."""
        return self.noise > 0

    @property
    def is_fitted(self) -> bool:
        """Whether :meth:`fit` has been called, or the generator was loaded."""
        return hasattr(self, "_networks")

    @property
    def record(self) -> FitRecord | None:
        """What :meth:`fit` was like, epoch by epoch; None before it, and for a loaded generator."""
        return getattr(self, "_record", None)

    @suggesting_names
    def fit(
        self,
        source: Tensor | NDArray[Any],
        target: Tensor | NDArray[Any],
        *,
        consistency: Consistency = "cycle",
        weight: float | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        restarts: int = 1,
        seed: int | None = None,
        device: torch.device | str | None = None,
        verbose: bool = True,
    ) -> Self:
        """Learn to turn images like ``source`` into images like ``target``; returns the object itself, now fitted.

        :param source: images (N, C, H, W), floating, in [0, 1]; a tensor or an array.
        :param target: images (M, C, H', W') of the target domain, likewise; nothing else is known of them.
        :param consistency: what keeps an image's content: "cycle" (there and back to the same image, Zhu et al. 2017)
            or "contrastive" (patches that can be told apart by what they were, Park et al. 2020).
        :param weight: the weight of consistency; None for that of its paper, 10 or 1.
        :param epochs: passes over the larger set.
        :param batch_size: images of each set at a time.
        :param learning_rate: Adam's; it falls over the second half.
        :param restarts: train from so many first weights, and keep what the discriminator can tell from the target
            least: now and then one settles on a wrong map, which shows where they disagree.
        :param seed: an int >= 0 makes the result repeatable; None takes fresh entropy. No global generator is touched.
        :param device: where it is trained, such as an estimator's ``device``; None: where ``source`` is.
        :param verbose: show a progress bar.
        :raises ValueError: for images of another shape, dtype or range, and options outside their bounds.

        Warns (RuntimeWarning) if there are too few images, if the discriminator wins, of mode collapse, and if restarts
        disagree.
        """
        given = {"source": as_images("source", source), "target": as_images("target", target)}
        for name, images in given.items():
            require(len(images) >= 2, name, "hold at least two images", Text(f"{len(images)}"))
            check_unit_range(name, images)
        x, t = (images.detach() for images in given.values())
        require(x.shape[1] == t.shape[1], "target", f"have {x.shape[1]} channels, as source", t.shape[1])
        check_counts(epochs=epochs, batch_size=batch_size, restarts=restarts)
        require(epochs >= 1, "epochs", "be >= 1", epochs)
        require(restarts >= 1, "restarts", "be >= 1", restarts)
        require(learning_rate > 0, "learning_rate", "be > 0", learning_rate)
        require(consistency in CONSISTENCIES, "consistency", f"be one of {list(CONSISTENCIES)}", consistency)
        require(weight is None or weight >= 0, "weight", "be None or >= 0", weight)
        cell = cell_for(*x.shape[2:]) if self.cell is None else self.cell
        shape = TranslationShape(x.shape[1], self.noise, self.width, self.blocks, cell)
        training = TranslationTraining(
            epochs, batch_size, learning_rate, consistency, weight, checked_seed(seed), verbose
        )
        with torch.inference_mode(False), torch.enable_grad():
            network, record = training.best_of(restarts, shape, x, t, torch.device(device or x.device))
        self._take(network, record)
        for sign in [*sign_of_few("DomainGenerator", source=len(x), target=len(t)), *self._signs(x, t, record)]:
            warnings.warn(sign, RuntimeWarning, stacklevel=3)  # at the call, beyond what checks names
        return self

    def _signs(self, source: Tensor, target: Tensor, record: FitRecord) -> list[str]:
        """What to warn of, now that the generator is fitted."""
        advice = "lower learning_rate, train for fewer epochs, or give more images"
        signs = sign_of_victory(record, "DomainGenerator", advice) + sign_of_disagreement(record, "DomainGenerator")
        seeds = torch.arange(min(VIEWED, len(source)), device=source.device)
        with torch.no_grad():
            made = self.full(source[:VIEWED].float(), {"seed": seeds})
        share = variety(made) / max(variety(target[:VIEWED]), 1e-12)
        if share < VARIETY:
            signs.append(
                f"DomainGenerator: mode collapse, generated images vary {share:.2f} times as much as those of target; "
                "raise weight, or take the other consistency"
            )
        return signs

    def _take(self, network: TranslationNetwork, record: FitRecord | None, file: Path | None = None) -> None:
        # Not fields: two fits of one object have the same parameters and differ in what they have seen.
        object.__setattr__(self, "_networks", {None: frozen_weights(network.cpu())})
        object.__setattr__(self, "_record", record)
        object.__setattr__(self, "_digest", weights_digest(network))
        object.__setattr__(self, "_file", file)

    def __repr__(self) -> str:
        """The fields, and of a fitted one a hash of the weights, by which a run that goes on knows it from another."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.is_fitted:
            shown["cell"] = self._shape.cell  # which a loaded one is told
            shown["weights"] = self._digest  # type: ignore[attr-defined]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self.is_fitted:  # copies on devices are made again where they are needed
            state["_networks"] = {None: state["_networks"][None]}
        return state

    def check_channels(self, channels: int) -> None:
        if self.is_fitted:
            wanted = self._shape.channels
            require(channels == wanted, "x", f"have {wanted} channels, as the images that were fitted to", channels)

    @property
    def _shape(self) -> TranslationShape:
        shape: TranslationShape = self._networks[None].shape  # type: ignore[attr-defined]
        return shape

    def network(self, like: Tensor) -> TranslationNetwork:
        """The fitted network, in the dtype and on the device of images; copied there once.

        :param like: images (B, C, H, W), of as many channels as were fitted to.
        :raises ValueError: for another number of channels, and before :meth:`fit` or :meth:`load`.
        """
        require(self.is_fitted, "domain", "be fitted first, by DomainGenerator.fit, or loaded", Text("one that is not"))
        self.check_channels(like.shape[1])
        networks: dict[Any, TranslationNetwork] = self._networks  # type: ignore[attr-defined]
        key = (like.dtype, like.device)
        if key not in networks:
            with torch.inference_mode(False):
                networks[key] = deepcopy(networks[None]).to(like.device, like.dtype)
        return networks[key]

    def full(self, x: Tensor, values: Values) -> Tensor:
        network = self.network(x)
        noise = None
        if self.noise:
            shape = (len(x), self.noise, *x.shape[2:])
            noise = normal_field(values["seed"], self.noise * x.shape[2] * x.shape[3], x.dtype).view(shape)
        made: Tensor = network(x, noise)
        return made

    def save(self, path: str | Path) -> None:
        """Write the fitted generator to a file of weights, which :meth:`load` reads.

        :param path: the file; it is whole or not there.
        :raises ValueError: before :meth:`fit`.
        """
        require(self.is_fitted, "domain", "be fitted first, by its method fit", Text("one that is not"))
        weights = self._networks[None].state_dict()  # type: ignore[attr-defined]
        write_network(path, type(self).__name__, {"shape": vars(self._shape), "weights": weights})
        object.__setattr__(self, "_file", absolute(path))

    @classmethod
    @suggesting_names
    def load(cls, path: str | Path, severity: Range = HIGHEST) -> Self:
        """The generator of a file; no pickle is run.

        :param path: the file that :meth:`save` has written.
        :param severity: from 1 to 5, the full map.
        :raises ValueError: for a file of anything else, or a broken one.
        """
        state = read_network(path, cls.__name__)
        with whole_file_of(cls.__name__, path):
            shape = TranslationShape(**state["shape"])
            network = network_of_file(lambda: TranslationNetwork(shape), shape.blocks, state["weights"])
        domain = cls(severity, shape.noise, shape.width, shape.blocks, shape.cell)
        domain._take(network, None, absolute(path))
        return domain

    def kept(self) -> dict[str, Any]:
        file = getattr(self, "_file", None)
        got = Text("one that is not, and a document can only name its file")
        require(file is not None, "domain", "be saved first, by DomainGenerator.save", got)
        return self.known_by()

    def known_by(self) -> dict[str, Any]:
        file = getattr(self, "_file", None)
        where = {} if file is None else {"file": str(file)}
        return {**where, "weights": getattr(self, "_digest", None), "severity": self.severity}

    @classmethod
    def from_kept(cls, file: str, weights: str | None = None, severity: Range = HIGHEST) -> Self:  # type: ignore[override]
        """The generator that a document names; no pickle is run.

        :param file: what :meth:`save` has written; a relative path begins in the working folder.
        :param weights: the hash that the weights must have; None takes any.
        :param severity: from 1 to 5, the full map.
        :raises ValueError: as :meth:`load` does, and for other weights.
        """
        rule = f"be one that is there (a relative path begins in the working folder, {str(Path.cwd())!r})"
        require(at_home(file).exists(), "file", rule, file)
        domain = cls.load(file, severity)
        found = domain._digest  # type: ignore[attr-defined]
        require(weights in (None, found), "weights", f"be {found}, those of {file}", weights)
        return domain


_OF_FIT = dict.fromkeys(argument_names(DomainGenerator.fit), "the method fit takes it")
DomainGenerator.__init__ = suggesting_names(DomainGenerator.__init__, _OF_FIT)  # type: ignore[method-assign]
