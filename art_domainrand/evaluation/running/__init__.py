"""Running an evaluation: what is to be done, done block by block, and kept."""
