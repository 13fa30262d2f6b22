"""Files of tensors and plain values, read without running any pickle."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from art_domainrand.core.files import check_file
from art_domainrand.core.memory import is_out_of_memory

BROKEN = "broken, or of another format"
NOT_PLAIN = "more than tensors and plain values, which could run code and is not loaded"


def read_plain(path: Path, argument: str, rule: str, device: torch.device | str = "cpu") -> Any:
    """What ``torch.save`` has written of tensors and plain values.

    :param path: the file.
    :param argument: what it is called in an error.
    :param rule: what it must be.
    :param device: where the tensors go.
    :raises ValueError: for what is no file, or a broken one, or one that holds anything else, which torch would advise
        to run.
    :raises OSError: for one that cannot be opened. What is raised for want of memory is left as it is.
    """
    check_file(argument, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of how a strange pickle was written
            return torch.load(path, map_location=device, weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of bytes that are none of its own, torch's reader may say anything
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        foreign = isinstance(error, pickle.UnpicklingError) and "weights" in str(error).lower()
        why = NOT_PLAIN if foreign else BROKEN
        raise ValueError(f"{argument} must {rule}, got {str(path)!r}, unreadable: {why}") from None
