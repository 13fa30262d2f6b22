"""Attacks that look at scores alone, and how it shows that gradients are masked."""
