"""The trainer: its loop, objectives, ranges and checkpoints."""
