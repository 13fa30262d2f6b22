"""What each budget of the strongest ensemble runs, line by line."""

BudgetLine = tuple[str, int, int, float]
"""What is run, steps, turns, reach.

What is run is FGSM, one step of eps on the estimator's loss; PGD on the margin with cosine steps; the same from
directed starts, one after the other in so many turns; one step towards each of so many classes, as if the model were
linear; or a loss that Auto-PGD climbs, "targeted_dlr" towards so many classes. A line runs on samples that are not
fooled yet and, with a reach below one, whose margin is down to that share of what it is on the original.
"""

ONE_STEP, MANY_STEPS, LINEAR, DIRECTED = "FGSM", "PGD", "linear", "directed"

# FGSM and PGD come first, so that the ensemble is never weaker than either. They leave a robust sample at most of its
# margin, and one that will fall later at less than two thirds: reach tightens from there.
QUICK: tuple[BudgetLine, ...] = (
    (ONE_STEP, 1, 0, 1.0),
    (MANY_STEPS, 50, 0, 1.0),
    (LINEAR, 1, 9, 0.1),
    ("cross_entropy", 100, 0, 0.65),
)

# What counts on networks with flat, saturated regions is how many different starts there are.
STANDARD: tuple[BudgetLine, ...] = (
    *QUICK,
    (DIRECTED, 25, 4, 0.5),
    (DIRECTED, 25, 8, 0.3),
    ("targeted_dlr", 50, 4, 0.3),
    ("margin", 100, 0, 0.2),
    (DIRECTED, 50, 16, 0.15),
    ("cross_entropy", 100, 0, 0.15),
    ("cross_entropy", 100, 0, 0.15),
)

FULL: tuple[BudgetLine, ...] = (
    *STANDARD,
    ("cross_entropy", 100, 0, 1.0),
    ("targeted_dlr", 100, 9, 1.0),
    (DIRECTED, 25, 18, 0.65),
)

# Each budget begins with all of the one before, under the same random numbers: more is never weaker, for any sample.
BUDGETS: dict[str, tuple[BudgetLine, ...]] = {"quick": QUICK, "standard": STANDARD, "full": FULL}
