"""Search over pipelines by trial: for what has no gradient."""
