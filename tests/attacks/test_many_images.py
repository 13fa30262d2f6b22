"""Memory does not grow with the number of images, beyond what they and their adversarial examples take."""

import subprocess
import sys

# 20,000 images of 3x16x16: 59 MiB.
SCRIPT = """
import resource, tempfile, warnings
import numpy as np, torch
from art.estimators.classification import PyTorchClassifier
from torch import nn
from art_domainrand import PGD, AutoPGD

torch.set_num_threads(1)
shape, n = (3, 16, 16), 20_000
model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), shape, 10, clip_values=(0, 1), device_type="cpu")
options = {"eps": 0.01, "verbose": False, "batch_size": 250}
steps = {"eps_step": 0.01, "max_iter": 1, "num_random_init": 1}
targets = {"loss_type": "targeted_dlr", "nb_target_classes": 1, "max_iter": 1, "nb_random_init": 1}
attacks = [
    PGD(classifier, **steps, **options),
    PGD(classifier, **steps, seed=0, early_stop=True, **options),
    AutoPGD(classifier, **targets, **options),
]

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

with tempfile.NamedTemporaryFile() as file:
    x = np.memmap(file.name, np.float32, "w+", shape=(n, *shape))
    block = np.random.default_rng(0).random((1000, *shape), dtype=np.float32)
    for attack in attacks:  # once, for what does not depend on their number
        attack.generate(block)
    before = peak()
    for first in range(0, n, 1000):
        x[first : first + 1000] = np.roll(block, first // 1000, axis=3)
    x.flush()
    del x  # its pages would count, and those of the map below again
    images = np.memmap(file.name, np.float32, "r", shape=(n, *shape))
    warnings.simplefilter("error")  # a map that must not be written to is nothing to warn of
    for attack in attacks:
        adv = attack.generate(images)
        assert adv.shape == images.shape and np.abs(adv[::997] - images[::997]).max() > 0.005
        del adv
print((peak() - before) / (images.nbytes / 2**20))
"""


def test_twenty_thousand_images_from_a_memory_map():
    """Twice the images, since pages of the map that were read count too, and for all the rest what does not grow."""
    command = [sys.executable, "-c", SCRIPT]
    times = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert times < 3.3
