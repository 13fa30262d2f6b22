"""Estimators, images and random state shared by the tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

# Two processes of tests share the cores: a thread that has nothing to do must not spin. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pytest
import torch

# ART takes seconds, and the process that only hands out the tests needs none of it.
if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

# These run as a user runs them. All others compare with the CPU to the last bit, so they are shown no other device.
ON_ANY_DEVICE = {
    "test_cuda",
    "test_onto",
    "test_random",
    "test_readme",
    "test_guides",
    "test_examples",
    "test_cli",
    "test_demo",
}
cuda_is_available = torch.cuda.is_available


# Files of few tests that take long begin first, so that no process is left alone with one of them in the end.
SLOW = {
    "test_augment",
    "test_browser",
    "test_demo",
    "test_distributed",
    "test_examples",
    "test_guides",
    "test_processes",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in SLOW)


def pytest_collection_finish() -> None:
    # What was imported stays for good. statsmodels collects garbage at every correction, half a second with all of it.
    gc.collect()
    gc.freeze()


def pytest_configure() -> None:
    # For the processes that tests are spread over and those they start: threads would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


def pytest_runtest_setup(item: pytest.Item) -> None:
    on_any = item.path.stem in ON_ANY_DEVICE
    torch.cuda.is_available = cuda_is_available if on_any else lambda: False


@pytest.fixture
def classifier() -> PyTorchClassifier:
    from support.estimators import make_classifier

    return make_classifier()


@pytest.fixture
def classifier_with() -> Callable[..., PyTorchClassifier]:
    from support.estimators import make_classifier

    return make_classifier


@pytest.fixture
def images() -> np.ndarray:
    from support.estimators import SHAPE

    return np.random.default_rng(0).random((10, *SHAPE), dtype=np.float32)


@pytest.fixture
def labels() -> np.ndarray:
    from support.estimators import CLASSES

    return np.random.default_rng(1).integers(0, CLASSES, 10)


@pytest.fixture(autouse=True)
def global_generators_are_left_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs under seeded global generators; they are put back for the next one."""
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    # torch.manual_seed writes down the stack for devices that are not there.
    (torch.manual_seed if cuda_is_available() else torch.default_generator.manual_seed)(0)
    np.random.seed(0)
    yield
    torch.set_rng_state(torch_state)
    np.random.set_state(numpy_state)
