"""How transforms are put together: distributions, draws, chains and pipelines."""
