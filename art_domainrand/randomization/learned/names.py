"""What can be said by name."""

RANGE_FAMILIES = ("beta", "box")
"""Of which law a learned range is."""
META_METHODS = ("exact", "differences")
"""How the gradient through a training step is found."""
