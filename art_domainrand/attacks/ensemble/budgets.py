"""What each budget of the strongest ensemble runs, line by line."""

from __future__ import annotations

from dataclasses import dataclass, field

from art_domainrand.attacks.blackbox.unmasking_budget import UnmaskingBudget


@dataclass(frozen=True)
class Climb:
    """A climb of Auto-PGD.

    :param loss: What it climbs.
    :param narrow: In L1, whether it begins in balls as narrow as its authors'.
    :param from_best: Whether it goes on from the best point so far.
    """

    loss: str
    narrow: bool = False
    from_best: bool = False


BudgetLine = tuple[str | Climb, int, int, float]
"""What is run, steps, turns, reach.

What is run is FGSM, one step of eps on the estimator's loss; PGD on the margin with cosine steps; the same from
directed starts, one after the other in so many turns; one step towards each of so many classes, as if the model were
linear; Square, so many queries in each of so many runs, from its own start or from the best point so far; or a loss
that Auto-PGD climbs, "targeted_dlr" towards so many classes, or a Climb, so many times. A line runs on samples that are
not fooled yet and, with a reach below one, whose margin is down to that share of what it is on the original.
"""

ONE_STEP, MANY_STEPS, LINEAR = "FGSM", "PGD", "linear"

# Square, and how its runs begin.
SQUARE, FROM_BEST = "Square", "Square, from the best"

# Steps from directed starts, and the loss that they climb.
DIRECTED, DIRECTED_CE = "directed", "directed, cross-entropy"
DIRECTED_LOSSES = {DIRECTED: "margin", DIRECTED_CE: "cross_entropy"}

# Climbs in L1, where it matters most where one begins.
NARROW, NARROW_CE = Climb("margin", narrow=True), Climb("cross_entropy", narrow=True)
AGAIN, AGAIN_CE = Climb("margin", from_best=True), Climb("cross_entropy", from_best=True)
AGAIN_NARROW = Climb("margin", narrow=True, from_best=True)
AGAIN_NARROW_CE = Climb("cross_entropy", narrow=True, from_best=True)

# FGSM and PGD come first, so that the ensemble is never weaker than either. Where a network is flat and saturated, PGD
# leaves samples at three fifths of their margin that another start fools; after one Auto-PGD on cross-entropy, those
# that will ever fall are down to a few hundredths or soon are: reach tightens fast.
QUICK: tuple[BudgetLine, ...] = (
    (ONE_STEP, 1, 0, 1.0),
    (MANY_STEPS, 50, 0, 1.0),
    (LINEAR, 1, 9, 0.1),
    ("cross_entropy", 50, 0, 0.65),
    (DIRECTED, 25, 2, 0.1),
    (DIRECTED_CE, 25, 4, 0.04),
)

# For who is near. There, what counts is how many different starts there are.
NEAR: tuple[BudgetLine, ...] = (
    ("margin", 100, 0, 0.12),
    (DIRECTED, 50, 8, 0.06),
    (DIRECTED_CE, 50, 8, 0.06),
    (DIRECTED, 50, 16, 0.04),
    ("targeted_dlr", 50, 4, 0.04),
)

FULL: tuple[BudgetLine, ...] = (
    ("cross_entropy", 100, 0, 1.0),
    ("targeted_dlr", 100, 9, 1.0),
    ("cross_entropy", 100, 0, 0.65),
    (DIRECTED, 25, 9, 0.65),
    (DIRECTED_CE, 50, 9, 0.2),
    (SQUARE, 5000, 1, 0.3),
)

# In L-inf a flat network has points that no gradient leads on from, and squares do: of 134 images that all the lines
# above leave there, a thousand of them break three from the best point and none from Square's own start.
STANDARD_IN_LINF: tuple[BudgetLine, ...] = (
    (DIRECTED_CE, 25, 2, 0.4),
    (DIRECTED, 25, 4, 0.2),
    ("targeted_dlr", 50, 4, 0.12),
    *NEAR,
    (FROM_BEST, 1000, 1, 0.1),
)
FULL_IN_LINF = (*FULL, (FROM_BEST, 2000, 1, 0.4))

# In L2 a flat network has images at four tenths of their margin that more directed starts break, or climbs towards one
# class after the other or on cross-entropy again.
STANDARD_IN_L2: tuple[BudgetLine, ...] = (
    (DIRECTED_CE, 25, 2, 0.4),
    (DIRECTED, 25, 8, 0.4),
    ("targeted_dlr", 50, 4, 0.4),
    *NEAR,
    ("cross_entropy", 100, 0, 0.4),
)

# In L1 Auto-PGD from the largest ball comes in place of PGD, of which 50 steps leave more than 25 of it do. Where one
# ends depends on where it starts: climbs on either loss, from wide balls and narrow ones, and such that go on from the
# best point through balls of that kind again, which break more than new starts do once each kind has had one. Who will
# ever fall is down to a fifth soon, but on a flat network only after a climb on each loss, which therefore skip nobody.
QUICK_IN_L1: tuple[BudgetLine, ...] = (
    (ONE_STEP, 1, 0, 1.0),
    (LINEAR, 1, 1, 1.0),
    ("cross_entropy", 50, 0, 1.0),
    ("margin", 25, 0, 1.0),
    (AGAIN_CE, 100, 1, 0.2),
    (AGAIN_NARROW, 100, 1, 0.15),
    (AGAIN_CE, 100, 1, 0.1),
    (AGAIN_NARROW_CE, 100, 1, 0.07),
    (AGAIN, 100, 1, 0.07),
    (LINEAR, 1, 9, 0.03),
)

STANDARD_IN_L1: tuple[BudgetLine, ...] = (
    ("margin", 50, 0, 1.0),
    (NARROW_CE, 50, 1, 0.65),
    (AGAIN_NARROW, 100, 1, 0.3),
    (NARROW, 100, 1, 0.3),
    ("targeted_dlr", 50, 4, 0.3),
    (AGAIN_CE, 200, 1, 0.15),
    (AGAIN_NARROW_CE, 200, 1, 0.2),
    (AGAIN, 200, 1, 0.15),
    (AGAIN_CE, 300, 1, 0.1),
    (AGAIN_NARROW_CE, 300, 1, 0.1),
)

# Where a climb begins decides here which pixels it ends on: some images fall to half of those from balls three times as
# large and to none of those from ten times, and others the other way round.
FULL_IN_L1: tuple[BudgetLine, ...] = (
    ("cross_entropy", 100, 0, 1.0),
    ("targeted_dlr", 100, 9, 1.0),
    (MANY_STEPS, 50, 0, 0.65),
    ("cross_entropy", 100, 0, 0.65),
    (DIRECTED, 25, 9, 0.2),
    (NARROW_CE, 100, 4, 0.4),
    (NARROW, 100, 4, 0.4),
    (SQUARE, 5000, 1, 0.2),
)


@dataclass(frozen=True)
class Budget:
    """What a budget runs: all of a smaller one, then its own lines, then its own search without gradients.

    So more is never weaker, for any sample, under the same random numbers.

    :param lines: Its own lines.
    :param unmasking: The queries of that search.
    :param after: The smaller one, or None.
    """

    lines: tuple[BudgetLine, ...]
    unmasking: UnmaskingBudget = field(default_factory=UnmaskingBudget)
    after: Budget | None = None

    @property
    def blocks(self) -> list[Budget]:
        """The smallest budget first, this one last."""
        return [*([] if self.after is None else self.after.blocks), self]


def nested(quick: Budget, standard: tuple[BudgetLine, ...], full: tuple[BudgetLine, ...]) -> dict[str, Budget]:
    """Budgets by name, each after the one before."""
    middle = Budget(standard, after=quick)
    return {"quick": quick, "standard": middle, "full": Budget(full, after=middle)}


FEW_QUERIES = UnmaskingBudget(queries=500)
BUDGETS = nested(Budget(QUICK, FEW_QUERIES), STANDARD_IN_LINF, FULL_IN_LINF)
BUDGETS_IN_L2 = nested(Budget(QUICK, FEW_QUERIES), STANDARD_IN_L2, FULL)
BUDGETS_IN_L1 = nested(Budget(QUICK_IN_L1, FEW_QUERIES), STANDARD_IN_L1, FULL_IN_L1)
