"""Short hashes of tensors, by which what was learned is known from anything else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import torch
from torch import Tensor

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""What Python adds to the name of an object, different every time."""


def tensors_digest(named: Mapping[str, Tensor]) -> str:
    """A short hash of named tensors: types, shapes and bits; the same in every process and on every device."""
    digest = hashlib.sha256()
    for name, value in named.items():
        plain = value.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)} ".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def text_digest(text: str) -> str:
    """A short hash of a text, without the addresses of objects, which are others in every process."""
    return hashlib.sha256(ADDRESS.sub("", text).encode()).hexdigest()[:12]
