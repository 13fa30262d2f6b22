"""Folders of images, augmented: the originals and randomized copies, resumable and the same however they were made."""

from art_domainrand.augment.run import Report, augment_folder

__all__ = ["Report", "augment_folder"]
