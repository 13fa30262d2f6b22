"""Auto-PGD: its steps, its phases in L1, and the stage that runs it."""
