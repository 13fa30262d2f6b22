"""Augmented folders: the same whatever was done to the run, nothing half written, and every problem reported."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from art_domainrand import augment
from art_domainrand.augment import augment_folder
from art_domainrand.augment.image import copy_key, read_image, to_image
from art_domainrand.augment.run import MANIFEST, list_files
from art_domainrand.core.files import whole_file
from art_domainrand.randomization import (
    Brightness,
    GaussianNoise,
    HSVHue,
    Hue,
    Invert,
    OneOf,
    Pipeline,
    Rotation,
    Sometimes,
    preset,
)
from art_domainrand.randomization.core.sampling import keyed_draws

PIPELINE = Pipeline([Rotation(), Brightness(), GaussianNoise()])
COMMAND = [sys.executable, "-c", "from art_domainrand.cli import app; app()", "augment"]


def make_source(root, count=6, size=24):
    rng = np.random.default_rng(0)
    for k in range(count):
        folder = root / ("cat" if k % 2 else "dog/small")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (size, size + 4, 3), dtype=np.uint8)).save(folder / f"{k}.png")
    return root


@pytest.fixture
def source(tmp_path):
    return make_source(tmp_path / "in")


def tree(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_originals_and_copies_stand_side_by_side_in_their_classes(source, tmp_path):
    report = augment_folder(source, tmp_path / "out", PIPELINE, copies=2)
    assert report.images == 6
    assert report.failures == ()
    found = tree(tmp_path / "out")
    names = [str(file) for file in list_files(source)]
    assert set(found) == {MANIFEST, *(n + end for n in names for end in ("", ".aug1.png", ".aug2.png"))}
    assert all(found[name] == (source / name).read_bytes() for name in names)
    assert found["cat/1.png.aug1.png"] != found["cat/1.png.aug2.png"]


def test_a_copy_is_what_the_pipeline_makes_of_the_image(source, tmp_path):
    augment_folder(source, tmp_path / "out", PIPELINE, copies=2, seed=7)
    with Image.open(source / "cat/3.png") as image:
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    draw = keyed_draws(PIPELINE, copy_key(7, Path("cat/3.png"), 2))
    expected = (PIPELINE.apply(x, draw)[0].clamp(0, 1) * 255).round().to(torch.uint8)
    with Image.open(tmp_path / "out/cat/3.png.aug2.png") as image:
        assert torch.equal(torch.from_numpy(np.array(image)).permute(2, 0, 1), expected)


def test_the_seed_the_path_and_the_number_of_the_copy_decide():
    def point(*key):
        return keyed_draws(PIPELINE, copy_key(*key)).u.tolist()

    key = (0, Path("a/1.png"), 1)
    assert point(*key) == point(*key)
    others = [point(1, *key[1:]), point(0, Path("b/1.png"), 1), point(0, Path("a/1.png"), 2), point(*key)]
    assert len(set(map(str, others))) == 4


def start(source, out, workers):
    """The command in a process of its own, and in a group with its workers."""
    arguments = [source, out, "--pipeline", "strong", "--copies", "3", "--seed", "5", "--workers", workers]
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def alive(group):
    """How many processes of a process group run (one that has ended and waits for its parent does not)."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended meanwhile
            continue
        count += int(its_group) == group and state not in "ZX"
    return count


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_run_killed_twice_and_resumed_gives_the_bytes_of_an_undisturbed_one(tmp_path):
    source, out = make_source(tmp_path / "in", count=50, size=64), tmp_path / "out"
    (source / "cat/broken.png").write_bytes((source / "cat/1.png").read_bytes()[:300])
    total = 50 * 4
    counts = []
    for workers in (2, 1):
        process = start(source, out, workers)
        before = len(list(out.rglob("*.png")))
        while len(list(out.rglob("*.png"))) < before + 30:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        deadline = time.monotonic() + 30
        while alive(process.pid):
            assert time.monotonic() < deadline, "the workers must not outlive their parent"
            time.sleep(0.05)
        counts.append(len([path for path in out.rglob("*.png") if path.name[0] != "."]))
        assert counts[-1] < total, "the kill came too late to test anything"
        for path in out.rglob("*.png"):
            if path.name[0] != ".":
                Image.open(path).load()  # whole
    assert counts[1] > counts[0]
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("[0-9]*.png") if "aug" not in path.name}
    report = augment_folder(source, out, preset("strong"), copies=3, seed=5, workers=1)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items()), "finished images are not done again"
    undisturbed = augment_folder(source, tmp_path / "other", preset("strong"), copies=3, seed=5, workers=1)
    assert report == undisturbed
    assert [name for name, _ in report.failures] == ["cat/broken.png"]
    assert tree(out) == tree(tmp_path / "other")
    assert len(tree(out)) == total + 1


def test_the_number_of_workers_changes_nothing(source, tmp_path):
    for workers in (1, 2):
        augment_folder(source, tmp_path / str(workers), PIPELINE, copies=2, workers=workers)
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


def test_threads_are_left_as_found(source, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        augment_folder(source, tmp_path / "out", PIPELINE)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_what_a_killed_run_left_half_written_is_removed_and_other_files_are_not(source, tmp_path):
    out = tmp_path / "out"
    augment_folder(source, out, PIPELINE)
    expected = tree(out)
    for name in ("cat/.1.png-ab_12xyz.png", "cat/.1.png.aug1-abcdefgh.png", ".augmentation-abcdefgh.json"):
        (out / name).write_bytes(b"half")
    (out / "cat/1.png").unlink()
    (out / "cat/.1-abcdefgh.png").write_bytes(b"half")
    (out / "cat/.mine-abcdefgh.png").write_bytes(b"whole")
    augment_folder(source, out, PIPELINE)
    assert set(tree(out)) - set(expected) == {"cat/.mine-abcdefgh.png", "cat/.1.png-ab_12xyz.png"}
    assert expected.items() <= tree(out).items()


def test_a_run_killed_before_its_settings_were_written_can_be_resumed(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.augmentation-abcdefgh.json").write_text("{")
    augment_folder(source, tmp_path / "out", PIPELINE)
    assert all(name[0] != "." for name in tree(tmp_path / "out"))


def test_an_image_that_changed_or_lost_a_copy_is_done_again(source, tmp_path):
    out = tmp_path / "out"
    augment_folder(source, out, PIPELINE, copies=2)
    first = tree(out)
    (out / "cat/1.png.aug2.png").unlink()
    shutil.copy(source / "cat/5.png", source / "cat/3.png")
    augment_folder(source, out, PIPELINE, copies=2)
    augment_folder(source, tmp_path / "fresh", PIPELINE, copies=2)
    assert tree(out) == tree(tmp_path / "fresh")
    assert {name for name in first if tree(out)[name] != first[name]} == {
        f"cat/3.png{end}" for end in ("", ".aug1.png", ".aug2.png")
    }


def test_broken_files_are_left_out_and_reported(source, tmp_path):
    whole = (source / "cat/1.png").read_bytes()
    (source / "cat/truncated.png").write_bytes(whole[: len(whole) // 2])
    (source / "cat/empty.jpg").write_bytes(b"")
    (source / "notes.txt").write_text("not an image")
    (source / "cat/labels.json").write_text("{}")
    (source / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    (source / "cat/features.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    os.mkfifo(source / "pipe")
    (source / "folder.png").mkdir()
    (source / "dog/gone.png").symlink_to(tmp_path / "nowhere")
    (source / ".hidden").write_text("neither image nor problem")
    report = augment_folder(source, tmp_path / "out", PIPELINE)
    assert report.images == 6
    assert report.others == ("Thumbs.db", "cat/features.h5", "cat/labels.json", "notes.txt", "pipe")
    assert [name for name, _ in report.failures] == ["cat/empty.jpg", "cat/truncated.png", "dog/gone.png"]
    assert dict(report.failures)["cat/empty.jpg"] == "not an image"
    assert dict(report.failures)["dog/gone.png"] == "No such file or directory"
    assert len(tree(tmp_path / "out")) == 6 * 2 + 1


def test_an_image_the_pipeline_refuses_leaves_nothing(tmp_path):
    make_source(tmp_path / "in", count=2)
    from art_domainrand.randomization import OnChannels

    report = augment_folder(tmp_path / "in", tmp_path / "out", Pipeline(OnChannels(Invert(), (5,))), copies=2)
    assert report.images == 0
    assert all("channels must be below 3" in reason for _, reason in report.failures)
    assert set(tree(tmp_path / "out")) == {MANIFEST}


def invert_copy(tmp_path, image, pipeline=None, **options):
    folder = tmp_path / "in"
    folder.mkdir()
    image.save(folder / "x.png", **options)
    report = augment_folder(folder, tmp_path / "out", pipeline or Pipeline(Invert(1.0)))
    assert report.failures == ()
    return Image.open(tmp_path / "out/x.png.aug1.png")


def test_grey_images_stay_grey_where_the_pipeline_takes_them(tmp_path):
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    copy = invert_copy(tmp_path, grey)
    assert copy.mode == "L"
    assert (np.array(copy) == 255 - np.arange(64).reshape(8, 8)).all()


def test_grey_images_become_rgb_for_a_pipeline_of_colours(tmp_path):
    assert invert_copy(tmp_path, Image.new("L", (8, 8), 100), Pipeline(Hue())).mode == "RGB"


def test_16_bits_are_read_in_their_range(tmp_path):
    levels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    copy = np.array(invert_copy(tmp_path, Image.fromarray(levels))).astype(int)
    assert np.abs(copy - (255 - levels / 257)).max() <= 0.5 + 1e-3


def test_palettes_transparency_and_black_and_white_are_read(tmp_path):
    for mode, shape in (("P", "RGB"), ("RGBA", "RGB"), ("CMYK", "RGB"), ("1", "L"), ("LA", "L")):
        path = tmp_path / f"{mode}.tif"
        Image.new("RGB", (8, 8), (250, 10, 10)).convert(mode).save(path)
        x, _ = read_image(path.read_bytes(), grey=True)
        assert x.shape == (1, len(shape), 8, 8)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_copy_stands_upright_as_its_original_is_shown(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.arange(96, dtype=np.uint8).reshape(4, 8, 3))
    copy = invert_copy(tmp_path, stored, exif=exif.tobytes())
    shown = ImageOps.exif_transpose(Image.open(tmp_path / "out/x.png"))
    assert np.array_equal(255 - np.asarray(shown), np.asarray(copy))
    assert 0x0112 not in copy.getexif()


def test_the_longest_names_are_written_and_longer_ones_reported(source, tmp_path):
    photo = (source / "cat/1.png").read_bytes()
    names = ["a" * 236 + ".png", "b" * 242 + ".png", "c" * 251 + ".png", "é" * 118 + ".png", "d" * 200]
    for name in names:
        (source / name).write_bytes(photo)
    report = augment_folder(source, tmp_path / "out", PIPELINE, copies=10)
    # 242 + 4 + 10 bytes are one too many.
    assert dict(report.failures) == dict.fromkeys(names[1:3], "File name too long"), (
        "242 + 4 + 10 bytes are one too many"
    )
    assert report.images == 6 + 3
    assert len(tree(tmp_path / "out")) == 9 * 11 + 1
    again = augment_folder(source, tmp_path / "out", PIPELINE, copies=10)
    assert again == report


def test_a_partial_file_of_a_long_name_is_swept_away(source, tmp_path):
    name = "a" * 236 + ".png"
    (source / name).write_bytes((source / "cat/1.png").read_bytes())
    augment_folder(source, tmp_path / "out", PIPELINE)
    with whole_file(tmp_path / "out" / name) as temporary:
        temporary.write_bytes(b"")
        shutil.copy(source / name, tmp_path / "out" / f"{temporary.stem[:-8]}abcdefgh.png")
    assert len(list((tmp_path / "out").glob(".*"))) == 1
    augment_folder(source, tmp_path / "out", PIPELINE)
    assert not list((tmp_path / "out").glob(".*"))


def test_an_image_whose_place_is_taken_is_reported(source, tmp_path):
    augment_folder(source, tmp_path / "out", PIPELINE)
    photo = (source / "cat/1.png").read_bytes()
    (source / "cat/1.png").unlink()
    (source / "cat/1.png").mkdir()
    (source / "cat/1.png/2.png").write_bytes(photo)
    report = augment_folder(source, tmp_path / "out", PIPELINE)
    assert [name for name, _ in report.failures] == ["cat/1.png/2.png"]
    assert report.images == 5


def test_a_folder_that_cannot_be_read_is_reported(source, tmp_path, monkeypatch):
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("small"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = augment_folder(source, tmp_path / "out", PIPELINE)
    assert report.failures == (("dog/small", "Permission denied"),)
    assert report.images == 3


@pytest.mark.parametrize(
    "pipeline", [Pipeline(Sometimes(Hue(), 0.1)), Pipeline(OneOf([Brightness(), Hue(), HSVHue()])), preset("driving")]
)
def test_whether_grey_images_stay_grey_does_not_depend_on_the_draw(tmp_path, pipeline):
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(12):
        Image.new("L", (8, 8), 20 * k).save(folder / f"{k}.png")
    report = augment_folder(folder, tmp_path / "out", pipeline)
    assert (report.images, report.failures) == (12, ())
    modes = {Image.open(path).mode for path in (tmp_path / "out").glob("*.aug1.png")}
    assert modes == {"RGB"}


def test_values_are_rounded_and_clipped():
    x = torch.tensor([-0.2, 0.0, 0.49 / 255, 0.51 / 255, 1.0, 1.7]).view(1, 1, 6)
    assert np.array(to_image(x)).tolist() == [[0, 0, 0, 1, 255, 255]]


def test_links_are_followed_but_not_in_circles(source, tmp_path):
    (source / "cat/up").symlink_to(source)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(source / "cat/1.png", tmp_path / "elsewhere/1.png")
    (source / "linked").symlink_to(tmp_path / "elsewhere")
    assert [str(f) for f in list_files(source) if f.parent.name not in ("cat", "small")] == ["linked/1.png"]
    assert len(list_files(source)) == 7


def test_the_settings_are_recorded_for_people_and_programs(source, tmp_path):
    augment_folder(source, tmp_path / "out", PIPELINE, copies=2, seed=3)
    found = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert (found["seed"], found["copies"], found["pipeline"]["version"]) == (3, 2, 1)


def refused(tmp_path, match, *arguments, **options):
    before = tree(tmp_path)
    with pytest.raises(ValueError, match=match):
        augment_folder(*arguments, **options)
    assert tree(tmp_path) == before


def test_bad_arguments_are_refused_before_anything_is_written(source, tmp_path):
    out = tmp_path / "out"
    refused(tmp_path, "copies must be an int >= 1, got 0", source, out, PIPELINE, copies=0)
    refused(tmp_path, "seed must be an int >= 0, got -1", source, out, PIPELINE, seed=-1)
    refused(tmp_path, "workers must be an int >= 1, got True", source, out, PIPELINE, workers=True)
    refused(tmp_path, "source must be a folder, got", tmp_path / "missing", out, PIPELINE)
    refused(tmp_path, "source must be a folder, got", source / "cat/1.png", out, PIPELINE)
    refused(tmp_path, "out must be a folder, got", source, source / "cat/1.png", PIPELINE)
    refused(tmp_path, "out must lie outside source", source, source / "cat/new", PIPELINE)
    refused(tmp_path, "out must lie outside source", source, source, PIPELINE)
    refused(tmp_path, "source outside out", source, tmp_path, PIPELINE)
    (tmp_path / "empty").mkdir()
    refused(tmp_path, "source must hold images, got no file in", tmp_path / "empty", out, PIPELINE)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.png").write_bytes(b"")
    refused(tmp_path, "out must be new, empty or the out of an earlier run", source, tmp_path / "full", PIPELINE)
    assert not out.exists()


def test_results_of_other_settings_are_refused(source, tmp_path):
    out = tmp_path / "out"
    augment_folder(source, out, PIPELINE, copies=2, seed=3)
    refused(tmp_path, "with seed 3 instead of 4", source, out, PIPELINE, copies=2, seed=4)
    refused(tmp_path, "with copies 2 instead of 1", source, out, PIPELINE, copies=1, seed=3)
    refused(tmp_path, "with another pipeline", source, out, Pipeline(Rotation()), copies=2, seed=3)
    (out / MANIFEST).write_text("[]")
    refused(tmp_path, "a broken", source, out, PIPELINE, copies=2, seed=3)


@pytest.mark.parametrize("name", ["cat/1.png.aug1.png", MANIFEST])
def test_a_source_named_like_a_result_is_refused(source, tmp_path, name):
    shutil.copy(source / "cat/1.png", source / name)
    refused(tmp_path, "source must not hold files named like results", source, tmp_path / "out", PIPELINE)


def test_a_full_disk_stops_the_run_and_leaves_no_trace_of_the_file(source, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        augment_folder(source, tmp_path / "out", PIPELINE)
    assert set(tree(tmp_path / "out")) == {MANIFEST, "cat/1.png.aug1.png"}


def test_the_old_name_of_the_report_still_works():
    with pytest.warns(DeprecationWarning, match="Report is deprecated, say AugmentReport"):
        assert augment.Report is augment.AugmentReport
    with pytest.raises(AttributeError, match="has no attribute 'Reports'"):
        augment.Reports  # noqa: B018
