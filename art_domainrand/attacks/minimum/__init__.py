"""Minimum-norm attacks: step rules towards the closest adversarial example, and the run that keeps it."""
