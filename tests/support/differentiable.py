"""ART's NumPy-only defences, and how their results are compared."""

import numpy as np
from art.defences.preprocessor import (
    CutMix,
    Cutout,
    FeatureSqueezing,
    GaussianAugmentation,
    JpegCompression,
    LabelSmoothing,
    Mixup,
    PixelDefend,
    SpatialSmoothing,
    ThermometerEncoding,
    TotalVarMin,
)
from torch import nn

from support.estimators import CLASSES, make_classifier

UNIT = (0.0, 1.0)


class Widened(FeatureSqueezing):
    """ART's squeezing in float64, which NumPy 2 makes of it and NumPy 1 does not."""

    def __call__(self, x, y=None):
        x, y = super().__call__(x, y)
        return x.astype(np.float64), y


def pixel_defend():
    """PixelDefend with a linear stand-in for the PixelCNN, which must return 256 scores above -1 a pixel.

    Any eps above 0 wraps around at dark pixels under NumPy 2, in ART itself.
    """
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64 * 256), nn.Sigmoid())
    return PixelDefend(clip_values=UNIT, eps=0, pixel_cnn=make_classifier(model, nb_classes=256))


DEFENCES = {
    "jpeg": lambda: JpegCompression(UNIT, quality=30, channels_first=True),
    "squeezing": lambda: FeatureSqueezing(UNIT, bit_depth=3),
    "smoothing": lambda: SpatialSmoothing(3, channels_first=True, clip_values=UNIT),
    "total variation": lambda: TotalVarMin(clip_values=UNIT, max_iter=2),
    "thermometer": lambda: ThermometerEncoding(UNIT, num_space=4, channels_first=True),
    "cutout": lambda: Cutout(3, channels_first=True),
    "mixup": lambda: Mixup(CLASSES),
    "cutmix": lambda: CutMix(CLASSES, channels_first=True),
    "noise": lambda: GaussianAugmentation(sigma=0.1, augmentation=False),
    "more noise": lambda: GaussianAugmentation(sigma=0.1, ratio=0.5),
    "label smoothing": lambda: LabelSmoothing(),
    "pixel defend": pixel_defend,
}
KEEPS_SHAPE = sorted(set(DEFENCES) - {"thermometer", "more noise"})
# These look at one image at a time, so that batches change nothing, not even the numbers drawn from np.random.
ONE_BY_ONE = sorted(set(KEEPS_SHAPE) - {"mixup", "cutmix"} | {"thermometer"})


def one_hot(labels):
    return np.eye(CLASSES, dtype=np.float32)[labels]


def value_of(function, *arguments):
    """What a function of the global NumPy generator returns, always from the same state of it."""
    np.random.seed(3)
    return function(*arguments)


def same_labels(ours, theirs):
    return np.array_equal(np.asarray(ours), np.asarray(theirs).astype(np.float32))
