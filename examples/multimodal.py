"""RGB and depth of a scene: randomize both by one draw, train on both, and attack one modality alone, then both.

Run with: python examples/multimodal.py [--out scenes.png]
"""

import argparse

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn
from torchvision.utils import save_image

from art_domainrand import PGD, MultiModal, fit_randomized
from art_domainrand import randomization as r
from art_domainrand.scenes import shape_scenes

BOTH = MultiModal(
    {
        "rgb": [r.Hue((-15, 15)), r.Brightness((-0.1, 0.1)), r.GaussianNoise((0, 0.05))],  # the camera's alone
        "depth": r.DepthModality(r.GaussianNoise((0, 0.02)), magnified="divided"),  # what comes nearer is larger
        "mask": r.MaskModality(),
    },
    [r.Rotation((-30, 30)), r.Scale((0.7, 1.3)), r.Flip()],  # moves all three alike
)
ATTACKED = {"rgb attacked": (1, 1, 1, 0), "depth attacked": (0, 0, 0, 1), "both attacked": (1, 1, 1, 1)}


def main() -> None:
    """Print accuracies on clean, moved and attacked scenes, and draw eight scenes before and after one draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="scenes.png")
    out = parser.parse_args().out
    pipeline = BOTH.stacked({"rgb": 3, "depth": 1})  # the same for one image with four channels, as ART takes it
    data, test = shape_scenes(500, 16), shape_scenes(200, 16, first=10_000)
    x, x_test = (np.concatenate([part.rgb, part.depth], axis=1) for part in (data, test))
    moved = pipeline(torch.from_numpy(x_test), torch.Generator().manual_seed(1)).clamp(0, 1).numpy()
    print(f"{'':12}" + "".join(f"{name:>16}" for name in ("clean", "moved", *ATTACKED)))
    for name, randomization in {"plain": None, "randomized": pipeline}.items():
        torch.manual_seed(0)
        layers = nn.Conv2d(4, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 1), nn.ReLU(), nn.AdaptiveMaxPool2d(1)
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 4))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), (4, 16, 16), 4, optimizer, clip_values=(0, 1))
        fit_randomized(classifier, x, data.y, randomization=randomization, batch_size=32, nb_epochs=12, seed=0)
        attack = PGD(classifier, eps=0.1, eps_step=0.025, max_iter=10, batch_size=200, verbose=False)
        masks = [np.array(mask, np.float32).reshape(1, 4, 1, 1) for mask in ATTACKED.values()]
        images = [x_test, moved, *(attack.generate(x_test, test.y, mask=mask) for mask in masks)]
        print(f"{name:12}" + "".join(f"{(classifier.predict(i).argmax(1) == test.y).mean():16.3f}" for i in images))
    large = shape_scenes(8, 96, first=20_000)
    shown = {name: torch.from_numpy(getattr(large, name)) for name in BOTH.modalities}
    rows = [*shown.values(), *BOTH(shown, torch.Generator().manual_seed(0)).values()]
    save_image([(picture / max(1, row.max())).expand(3, 96, 96) for row in rows for picture in row], out, nrow=8)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
