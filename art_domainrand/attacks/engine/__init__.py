"""The loop behind the attacks: what is wanted, what the model says, steps and search."""
