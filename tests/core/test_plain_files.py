"""Files of tensors and plain values: what else they hold is not run, nor is it advised to run it."""

import os
import pickle
import warnings

import pytest
import torch

from art_domainrand.core.plain_files import BROKEN, NOT_PLAIN, read_plain


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_tensors_and_plain_values_come_back(tmp_path):
    torch.save({"a": torch.arange(3), "b": [1, "two"]}, tmp_path / "file.pt")
    found = read_plain(tmp_path / "file.pt", "path", "be a file")
    assert torch.equal(found["a"], torch.arange(3))
    assert found["b"] == [1, "two"]
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "none.pt", "path", "be a file")


def contents(folder):
    """Of files that are none of ours: their bytes, and what is said of them."""
    torch.save(torch.nn.Linear(2, 2), folder / "module")
    torch.save({"version": 1, "kind": Touch(folder / "ran")}, folder / "evil")
    return {
        "empty": (b"", BROKEN),
        "junk": (b"hello", BROKEN),
        "half": (b"PK\x03\x04 half a file", BROKEN),
        "pickle": (pickle.dumps({"run": Touch(folder / "ran")}), NOT_PLAIN),
        "protocol": (b"\x80\x04K\x00.", BROKEN),
        "module": ((folder / "module").read_bytes(), NOT_PLAIN),
        "evil": ((folder / "evil").read_bytes(), NOT_PLAIN),
    }


def test_nothing_else_is_run_or_advised_to_be(tmp_path):
    for name, (content, why) in contents(tmp_path).items():
        (tmp_path / f"{name}.pt").write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ValueError, match=r"^path must be a file of ours, got '.*\.pt', unreadable: ") as told:
                read_plain(tmp_path / f"{name}.pt", "path", "be a file of ours")
        assert str(told.value).endswith(why), name
        assert told.value.__suppress_context__  # which torch's advice stands in
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("error", [MemoryError("full"), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_want_of_memory_is_not_taken_for_a_broken_file(error, tmp_path, monkeypatch):
    def full(*args, **options):
        raise error

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(type(error)):
        read_plain(tmp_path / "file.pt", "path", "be a file")
