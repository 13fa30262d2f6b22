"""Ranges and odds of a pipeline as parameters that a gradient can move, inside of the pipeline's own limits."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from art_domainrand.core.checks import Text, require
from art_domainrand.core.documents import distinct_keys
from art_domainrand.core.random import KEEP, derive, uniform
from art_domainrand.randomization.core.beta import beta_entropy
from art_domainrand.randomization.core.composites import OneOf
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.pipeline import Item, Pipeline, pipeline_from
from art_domainrand.randomization.learned.fields import (
    FAMILIES,
    LEAST_WIDTH,
    check_learnable,
    learned_choices,
    learned_fields,
    narrowed,
    rebuilt,
    shaped,
)
from art_domainrand.randomization.learned.names import check_kept
from art_domainrand.randomization.numerics.incomplete_beta import beta_icdf
from art_domainrand.randomization.serialize import from_dict, to_dict

LEAST_SHAPE, MOST_SHAPE = 0.2, 500.0
"""Between these the shapes of a beta distribution are learned."""
LEAST_ODDS = 0.01
"""Every member of a choice keeps this share of the odds, split evenly."""


class LearnableRanges(nn.Module):
    """Where in the limits of a pipeline its values are drawn, as constrained parameters.

    Every field of a transform that is a range has a distribution of its own on the unit interval: a box ("box"), or a
    beta distribution ("beta"), which can also favour both ends. The pipeline's ranges stay the outer limits, whatever
    an optimizer does: values beyond a limit count as the limit, whose gradient passes, and :meth:`project` brings them
    back. Every :class:`OneOf` has learned odds; their gradient is that of the score function, through
    :meth:`log_odds`. At first the law is the pipeline's own.

    The same draw gives the same bits, and slicing draws and images commute, as with the pipeline.

    :param pipeline: the pipeline, or what one is made from.
    :param family: "beta", which learns :class:`Uniform` and :class:`LogUniform` ranges, or "box", which learns
        :class:`Normal` and :class:`TruncatedNormal` ones too. Other coordinates are drawn as the pipeline draws them.
    :param kept: the share of the images, in [0, 1), that are drawn from the pipeline's own law whatever is learned; the
        seeds of a draw say which.
    :raises ValueError: for another family or share, and for a pipeline that has nothing to learn.

    ``bounds`` (2, F) are the lower and upper ends, or the logarithms of the two shapes, of the F fields in ``names``;
    ``logits`` hold what the odds of each choice are the softmax of.
    """

    def __init__(self, pipeline: Item, family: str = "beta", kept: float = 0.0) -> None:
        super().__init__()
        require(family in FAMILIES, "family", f"be one of {list(FAMILIES)}", family)
        check_kept(kept)
        self.pipeline: Pipeline = pipeline_from("pipeline", pipeline)
        self.family, self.kept = family, float(kept)
        self.fields, self.choices = learned_fields(self.pipeline, family), learned_choices(self.pipeline)
        check_learnable("pipeline", self.pipeline, family)
        ends = torch.tensor([[0.0], [1.0]] if family == "box" else [[0.0], [0.0]], dtype=torch.float32)
        self.bounds = nn.Parameter(ends.repeat(1, len(self.fields)))
        self.logits = nn.ParameterList(
            nn.Parameter(torch.tensor(choice.odds, dtype=torch.float32).log()) for choice in self.choices
        )
        columns = [(column, k) for k, field in enumerate(self.fields) for column in field.columns]
        self._columns = torch.tensor([column for column, _ in columns], dtype=torch.int64)
        self._owners = torch.tensor([owner for _, owner in columns], dtype=torch.int64)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are learned, such as "0.angle"."""
        return tuple(field.name for field in self.fields)

    def limited(self) -> tuple[Tensor, Tensor]:
        """The ends (F,), or the shapes (F,), inside of their limits; the gradient passes as if there were none."""
        first, second = self.bounds.unbind(0)
        if self.family == "box":
            low = _straight(first, first.detach().clamp(0.0, 1.0 - LEAST_WIDTH))
            return low, _straight(second, torch.maximum(second.detach().clamp_max(1.0), low.detach() + LEAST_WIDTH))
        limits = (math.log(LEAST_SHAPE), math.log(MOST_SHAPE))
        return _straight(first, first.detach().clamp(*limits)).exp(), _straight(
            second, second.detach().clamp(*limits)
        ).exp()

    def odds(self) -> list[Tensor]:
        """The odds of each choice's members, (M,) each."""
        return [(1 - LEAST_ODDS) * torch.softmax(logits, 0) + LEAST_ODDS / len(logits) for logits in self.logits]

    @torch.no_grad()
    def project(self) -> None:
        """Bring the parameters back inside of their limits; call it after a step of an optimizer."""
        first, second = self.limited()
        self.bounds.copy_(torch.stack((first, second) if self.family == "box" else (first.log(), second.log())))

    def place(self, draw: Draw) -> Draw:
        """The draw with every learned coordinate moved to where it is drawn by now.

        :param draw: an even draw, such as ``ranges.pipeline.sample(n)``.
        :return: the draw for ``pipeline.apply``, with gradients to the parameters.
        """
        u = draw.u
        if self.fields:
            columns, owners = self._columns.to(u.device), self._owners.to(u.device)
            first, second = (bound.to(u.device)[owners] for bound in self.limited())
            own = u[:, columns]
            if self.family == "box":
                moved = (1 - own) * first.to(u.dtype) + own * second.to(u.dtype)
            else:
                moved = beta_icdf(own.t(), first, second).t()
            u = u.index_copy(1, columns, moved.to(u.dtype))
        for choice, odds in zip(self.choices, self.odds(), strict=True):
            own_shares = torch.tensor(choice.odds, device=u.device, dtype=torch.float64)
            columns = torch.tensor(choice.columns, device=u.device)
            chosen = _member(draw.u[:, columns], odds.to(u.device))
            # In the middle of the member's share: a selector says which, and no more.
            middle = own_shares.cumsum(0) - own_shares / 2
            u = u.index_copy(1, columns, middle[chosen].to(u.dtype))
        return replace(draw, u=torch.where(self._keeps(draw)[:, None], draw.u, u) if self.kept else u)

    def _keeps(self, draw: Draw) -> Tensor:
        """Which images stay where the pipeline's own law draws them, (n,) bool."""
        return uniform(derive(draw.seeds, KEEP), ()) < self.kept

    def log_odds(self, draw: Draw) -> Tensor:
        """The logarithm of the odds of all that ``draw`` chooses, (n,), with gradients to the ``logits``.

        The gradient of a mean loss in the odds is that of ``(losses.detach() - baseline) * log_odds``, the score
        function's (Williams 1992, REINFORCE). A choice without effect, inside of what is not applied, counts nothing,
        nor do those of images that the pipeline's own law keeps.

        :param draw: an even draw, as for :meth:`place`.
        """
        placed = self.place(draw).u.detach()
        total = torch.zeros(len(placed), dtype=torch.float32, device=placed.device)
        for choice, odds in zip(self.choices, self.odds(), strict=True):
            odds = odds.to(placed.device)
            for column, selector in zip(choice.columns, choice.selectors, strict=True):
                chosen = _member(draw.u[:, column], odds)
                total = total + torch.where(selector.acts(placed), odds.log()[chosen], 0.0)
        return torch.where(self._keeps(draw), 0.0, total) if self.kept else total

    def forward(self, x: Tensor, draw: Draw) -> Tensor:
        """Change each image as the draw says, placed where it is drawn by now; the result is not clipped.

        :param x: images (B, C, H, W) in [0, 1].
        :param draw: an even draw for B images, on the device of ``x``.
        """
        return self.pipeline.apply(x, self.place(draw))

    def entropies(self) -> Tensor:
        """The entropy of each field and then of each choice over that of the pipeline's own law, in nats.

        It is minus the Kullback-Leibler divergence from there: 0 for the pipeline's own, else below. What is kept does
        not count.
        """
        first, second = self.limited()
        found = [torch.log(second - first) if self.family == "box" else beta_entropy(first, second)]
        for choice, odds in zip(self.choices, self.odds(), strict=True):
            own = torch.tensor(choice.odds, device=odds.device, dtype=odds.dtype)
            found.append(0.0 - (odds * (odds / own).log()).sum()[None])  # a minus alone makes -0.0 of 0
        return torch.cat(found)

    def entropy(self) -> Tensor:
        """The sum of :meth:`entropies`, a scalar with gradients."""
        return self.entropies().sum()

    def widths(self) -> Tensor:
        """The width of each field as a share of its range, (F,): of a box, or of one of the same entropy."""
        return self.entropies()[: len(self.fields)].exp()

    def to_pipeline(self) -> Pipeline:
        """The pipeline that draws from the same law, with plain numbers.

        With ``kept`` it chooses between the pipeline and what was learned; :meth:`MultiModal.of` finds no modalities
        in it.
        """
        bounds = [bound.detach().double().tolist() for bound in self.limited()]
        make = narrowed if self.family == "box" else shaped
        laws: dict[str, dict[int, Any]] = {}
        for field, first, second in zip(self.fields, *bounds, strict=True):
            place = field.name.rpartition(".")[0]
            laws.setdefault(place, {})[id(field.distribution)] = make(field.distribution, first, second)
        weights = {}
        for choice, odds in zip(self.choices, self.odds(), strict=True):
            by_member = dict(zip(choice.members, odds.detach().double().tolist(), strict=True))
            weights[choice.name] = [by_member.get(k, 0.0) for k in range(len(choice.owner.transforms))]
        learned = Pipeline(rebuilt(self.pipeline.chain, laws, weights))
        return Pipeline(OneOf([self.pipeline, learned], [self.kept, 1 - self.kept])) if self.kept else learned

    def to_json(self) -> str:
        """The pipeline and what has been learned, as JSON text."""
        document: dict[str, Any] = {
            "family": self.family,
            "pipeline": to_dict(self.pipeline),
            "bounds": self.bounds.tolist(),
            "logits": [logits.tolist() for logits in self.logits],
        }
        if self.kept:
            document["kept"] = self.kept
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> LearnableRanges:
        """Read what :meth:`to_json` wrote.

        :param text: the text.
        :raises ValueError: for text that is no such document.
        """
        try:
            document = json.loads(text, object_pairs_hook=distinct_keys)
        except json.JSONDecodeError as error:
            raise ValueError(f"document must be JSON: {error}") from None
        keys = {"family", "pipeline", "bounds", "logits"}
        fits = isinstance(document, dict) and set(document) - {"kept"} == keys
        require(fits, "document", f"be a mapping with the keys {sorted(keys)}", Text(text[:80]))
        ranges = cls(from_dict(document["pipeline"]), document["family"], document.get("kept", 0.0))
        try:
            rows = {"bounds": document["bounds"]} | {f"logits.{k}": row for k, row in enumerate(document["logits"])}
            state = {name: torch.tensor(row, dtype=torch.float32) for name, row in rows.items()}
            ranges.load_state_dict(state)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"document must hold the parameters of its pipeline: {error}") from None
        finite = all(bool(row.isfinite().all()) for row in state.values())
        require(finite, "document", "hold finite parameters", Text(str(rows)[:200]))
        return ranges


def _straight(raw: Tensor, limited: Tensor) -> Tensor:
    """The value of ``limited`` with the gradient of ``raw``."""
    return limited + (raw - raw.detach())


def _member(u: Tensor, odds: Tensor) -> Tensor:
    """Which member each point chooses, int64, at the odds (M,)."""
    return torch.bucketize(u.double().contiguous(), odds.detach().double().cumsum(0)[:-1], right=True)
