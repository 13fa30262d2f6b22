"""The demo: four classifiers of real digits, trained with ART, attacked and compared."""

from art_domainrand.demo.run import run_demo
from art_domainrand.demo.steps import TITLES

__all__ = ["TITLES", "run_demo"]
