"""Gradient attacks and domain randomization for the Adversarial Robustness Toolbox (ART)."""
