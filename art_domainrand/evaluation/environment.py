"""What a measurement was made with."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

PACKAGES = ("art-domainrand", "adversarial-robustness-toolbox", "torchvision", "kornia", "numpy")


def environment() -> dict[str, Any]:
    """Versions, device and threads, for the metadata of a report. A package run from its source tree has no version."""
    # torch's own version also says what it was built for, as in 2.6.0+cpu.
    known = {"python": platform.python_version(), "torch": torch.__version__}
    return {
        "versions": known | {name: installed(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
    }


def installed(name: str) -> str | None:
    """The version of an installed package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
