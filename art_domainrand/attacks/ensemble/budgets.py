"""What each budget of the strongest ensemble runs, line by line."""

BudgetLine = tuple[str, int, int, float]
"""What is run, steps, turns, reach.

What is run is FGSM, one step of eps on the estimator's loss; PGD on the margin with cosine steps; the same from
directed starts, one after the other in so many turns; one step towards each of so many classes, as if the model were
linear; or a loss that Auto-PGD climbs, "targeted_dlr" towards so many classes. A line runs on samples that are not
fooled yet and, with a reach below one, whose margin is down to that share of what it is on the original.
"""

ONE_STEP, MANY_STEPS, LINEAR = "FGSM", "PGD", "linear"

# Steps from directed starts, and the loss that they climb.
DIRECTED, DIRECTED_CE = "directed", "directed, cross-entropy"
DIRECTED_LOSSES = {DIRECTED: "margin", DIRECTED_CE: "cross_entropy"}

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

# There, what counts is how many different starts there are.
STANDARD: tuple[BudgetLine, ...] = (
    *QUICK,
    (DIRECTED_CE, 25, 2, 0.65),
    (DIRECTED, 25, 4, 0.2),
    ("targeted_dlr", 50, 4, 0.15),
    ("margin", 100, 0, 0.15),
    (DIRECTED, 50, 8, 0.1),
    (DIRECTED_CE, 50, 8, 0.1),
    (DIRECTED, 50, 16, 0.05),
    ("targeted_dlr", 50, 4, 0.04),
)

FULL: tuple[BudgetLine, ...] = (
    *STANDARD,
    ("cross_entropy", 100, 0, 1.0),
    ("targeted_dlr", 100, 9, 1.0),
    ("cross_entropy", 100, 0, 0.65),
    (DIRECTED, 25, 9, 0.65),
    (DIRECTED_CE, 50, 9, 0.2),
)

# In L1 a climb needs many steps, in which it finds out how sparse to be: few long ones do more than many short ones.
STANDARD_IN_L1: tuple[BudgetLine, ...] = (
    *QUICK,
    ("cross_entropy", 100, 0, 0.65),
    ("cross_entropy", 100, 0, 0.3),
    ("targeted_dlr", 100, 4, 0.25),
    ("margin", 100, 0, 0.2),
    ("cross_entropy", 100, 0, 0.2),
)

FULL_IN_L1: tuple[BudgetLine, ...] = (
    *STANDARD_IN_L1,
    ("cross_entropy", 100, 0, 1.0),
    ("targeted_dlr", 100, 9, 1.0),
    ("cross_entropy", 100, 0, 0.65),
    (DIRECTED, 25, 9, 0.2),
)

# Each budget begins with all of the one before, under the same random numbers: more is never weaker, for any sample.
# The search without gradients, which follows, has proposals of its own at each.
BUDGETS: dict[str, tuple[BudgetLine, ...]] = {"quick": QUICK, "standard": STANDARD, "full": FULL}
BUDGETS_IN_L1 = {"quick": QUICK, "standard": STANDARD_IN_L1, "full": FULL_IN_L1}
