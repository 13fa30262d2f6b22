"""The demo: four classifiers of real digits, trained with ART, attacked and compared."""

from art_domainrand.demo.run import run

__all__ = ["run"]
