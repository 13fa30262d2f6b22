"""Several pictures of one scene, RGB, depth, thermal and masks, which one draw moves together."""

from art_domainrand.randomization.modalities.kinds import MODALITIES, DepthModality, ImageModality, MaskModality
from art_domainrand.randomization.modalities.multimodal import MultiModal
from art_domainrand.randomization.modalities.stacked import StackedModalities

__all__ = ["MODALITIES", "DepthModality", "ImageModality", "MaskModality", "MultiModal", "StackedModalities"]
