"""Memory is bounded by a block of samples, not by how many there are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")
TESTS = Path(__file__).parents[2]
SIDE, FEW, MANY = 224, 192, 768

PROGRAM = f"""
import torch
from art.estimators.classification import PyTorchClassifier
from art_domainrand.evaluation import evaluate
from art_domainrand.evaluation.conditions import Attacked, Clean
from art_domainrand.evaluation.storage.cost import peak_memory

torch.set_num_threads(1)
net = torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Flatten(), torch.nn.Linear(3 * 14 * 14, 4))
options = dict(clip_values=(0, 1), device_type="cpu")
model = PyTorchClassifier(net, torch.nn.CrossEntropyLoss(), (3, {SIDE}, {SIDE}), 4, **options)


class Made(torch.utils.data.Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return torch.rand(3, {SIDE}, {SIDE}), index % 4


peaks = []
for n in ({FEW}, {MANY}):
    conditions = [Clean(), Attacked("fgsm", 1 / 255)]
    evaluate(model, conditions, Made(n), diagnosed=False)
    peaks.append(peak_memory())
print(*peaks)
"""


def test_four_times_the_images_take_the_same_memory():
    paths = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=200,
        capture_output=True,
        text=True,
        check=True,
    )
    few, many = map(int, done.stdout.split())
    images = (MANY - FEW) * 3 * SIDE**2 * 4
    assert many - few < images / 4
    assert many < 2 * 10**9
