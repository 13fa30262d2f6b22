"""Where the work is done."""

from __future__ import annotations

import os

import torch

from art_domainrand.core.checks import require


def chosen_device(name: str = "auto") -> str:
    """What a device's name stands for on this machine.

    :param name: "cpu", "cuda", "cuda:N", "mps", or "auto" for the best there is. Under torchrun each process of a
        machine takes a GPU of its own for "cuda" and "auto".
    :return: a name that torch knows.
    :raises ValueError: for another name, and a device that this machine has not.
    """
    kind, _, number = name.partition(":")
    known = kind in ("auto", "cpu", "cuda", "mps") and (not number or (kind == "cuda" and number.isdecimal()))
    require(known and not name.endswith(":"), "device", "be auto, cpu, cuda, cuda:N or mps", name)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        kind = "cuda" if count else "mps" if torch.backends.mps.is_available() else "cpu"
    if kind == "cuda":
        local = os.environ.get("LOCAL_RANK", "0")
        place = int(number) if number else int(local) % max(count, 1) if local.isdecimal() else 0
        require(place < count, "device", f"be one of the {count} CUDA devices of this machine", name)
        return f"cuda:{place}"
    require(kind != "mps" or torch.backends.mps.is_available(), "device", "be one that this machine has", name)
    return kind
