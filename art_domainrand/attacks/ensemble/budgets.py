"""What each budget of the strongest ensemble runs, line by line."""

BudgetLine = tuple[str, int, int, float]
"""What is run, steps, turns, reach.

What is run is FGSM, one step of eps on the estimator's loss; PGD on the margin with cosine steps; the same from
directed starts, one after the other in so many turns; or a loss that Auto-PGD climbs, "targeted_dlr" towards so many
classes. A line runs on samples that are not fooled yet and, with a reach below one, whose margin is down to that share
of what it is on the original.
"""

ONE_STEP, MANY_STEPS, DIRECTED = "FGSM", "PGD", "directed"

BUDGETS: dict[str, tuple[BudgetLine, ...]] = {
    "quick": (
        (ONE_STEP, 1, 0, 1.0),
        (MANY_STEPS, 50, 0, 1.0),
        ("cross_entropy", 20, 0, 1.0),
        ("targeted_dlr", 30, 3, 0.2),
        ("cross_entropy", 50, 0, 0.1),
        ("targeted_dlr", 50, 4, 0.1),
    ),
    "standard": (
        (ONE_STEP, 1, 0, 1.0),
        (MANY_STEPS, 50, 0, 1.0),
        ("cross_entropy", 50, 0, 1.0),
        ("targeted_dlr", 50, 4, 0.3),
        ("margin", 100, 0, 0.12),
        ("dlr", 100, 0, 0.12),
        ("cross_entropy", 100, 0, 0.12),
        ("cross_entropy", 100, 0, 0.12),
        ("targeted_dlr", 100, 4, 0.12),
    ),
    "full": (
        (ONE_STEP, 1, 0, 1.0),
        (MANY_STEPS, 50, 0, 1.0),
        ("cross_entropy", 100, 0, 1.0),
        ("targeted_dlr", 100, 9, 1.0),
    ),
}
