"""Training that is robust: data, modules and trainers that put attacks and randomization to work."""
