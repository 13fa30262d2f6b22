"""The random changes of PRIME, in space, colour and frequency (Modas et al., ECCV 2022)."""
