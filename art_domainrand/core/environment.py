"""What a measurement was made with."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

PACKAGES = ("art-domainrand", "adversarial-robustness-toolbox", "torchvision", "kornia", "numpy")


def environment(device: torch.device | str) -> dict[str, Any]:
    """Versions, device and threads, for the metadata of a report made on ``device``.

    A package that runs from its source tree without being installed has the version None.
    """
    device = torch.device(device)
    # torch's own version also says what it was built for, as in 2.6.0+cpu.
    known = {"python": platform.python_version(), "torch": torch.__version__}
    return {
        "versions": known | {name: installed(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
    }


def installed(name: str) -> str | None:
    """The version of an installed package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
