"""The demo: four classifiers of real digits, trained with ART, attacked and compared."""

from art_domainrand.demo.run import TITLES, run_demo

__all__ = ["TITLES", "run_demo"]
