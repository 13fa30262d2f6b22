"""Files are whole or not there."""

import os
import tempfile

import pytest

from art_domainrand.core.files import check_folder, whole_file


def test_a_file_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "new" / "report.json"
    with whole_file(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.suffix == ".json"
    assert target.read_text() == "half"
    assert os.listdir(target.parent) == ["report.json"]


def test_a_failure_leaves_the_old_file_and_no_trace(tmp_path):
    target = tmp_path / "report.json"
    target.write_text("old")

    def fail():
        with whole_file(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_file_has_the_usual_permissions(tmp_path):
    with whole_file(tmp_path / "ours") as temporary:
        temporary.write_text("")
    (tmp_path / "usual").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_may_exist_or_be_made_later(tmp_path):
    assert check_folder("out", tmp_path) == tmp_path
    assert check_folder("out", tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("tail", ["", "below"])
def test_a_file_is_no_folder(tmp_path, tail):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"out must be a folder, got '.*' where '.*file' is a file"):
        check_folder("out", tmp_path / "file" / tail)


@pytest.mark.parametrize("tail", ["", "new"])
def test_a_folder_must_be_writable(tmp_path, tail, monkeypatch):
    def refuse(dir):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(ValueError, match=r"out must be a folder that can be written to, got '.*': Read-only"):
        check_folder("out", tmp_path / tail)
