"""Figures as SVG that stands in a page: in its colours, light and dark, with a text alternative."""
