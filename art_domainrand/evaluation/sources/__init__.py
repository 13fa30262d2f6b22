"""Where the images of an evaluation come from: arrays, data sets, folders and files, read a block at a time."""

from art_domainrand.evaluation.sources.base import LabelledSource, ReadSamples
from art_domainrand.evaluation.sources.opening import open_data

__all__ = ["LabelledSource", "ReadSamples", "open_data"]
