"""Helpers of the tests: estimators, images, labels, and ways to compare."""
