"""What every room stands on: checks, pixels, random numbers, files, norms and losses."""
