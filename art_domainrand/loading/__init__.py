"""Models by name: from what a command line can say to an ART estimator."""

from art_domainrand.loading.demo_models import demo_models
from art_domainrand.loading.device import chosen_device
from art_domainrand.loading.estimator import ModelRequest, load_estimator, runs_code

__all__ = ["ModelRequest", "chosen_device", "demo_models", "load_estimator", "runs_code"]
