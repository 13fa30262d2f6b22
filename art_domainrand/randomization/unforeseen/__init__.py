"""Adversaries that nobody trained for: changes of an image whose many parameters a search moves."""
