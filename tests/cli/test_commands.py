"""The command line: help, and bad input as one line."""

import pytest
from PIL import Image
from typer.testing import CliRunner

from art_domainrand.cli import app
from art_domainrand.demo import run_demo
from art_domainrand.randomization import CORRUPTIONS, DOMAINS, MIXING, PRESETS, TRANSFORMS, save_pipeline


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def no_training(monkeypatch):
    """Fail the test if it gets as far as training."""

    def train(*args, **kwargs):
        raise AssertionError("bad input must be refused before training")

    monkeypatch.setattr("art_domainrand.demo.steps.train_all", train)


def test_help_names_the_commands():
    result = call("--help")
    assert result.exit_code == 0
    assert all(name in result.output for name in ("demo", "gallery", "list", "augment"))
    assert "--seed" in call("demo", "--help").output


def test_without_a_command_there_is_help():
    assert "demo" in call().output


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_bad_seed_is_one_line(tmp_path, seed):
    result = call("demo", "--out", tmp_path / "out", "--seed", seed)
    assert result.exit_code == 2
    assert result.stderr == f"Error: seed must be an int from 0 to 4294967295, got {seed}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_training")
def test_an_out_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    result = call("demo", "--out", tmp_path / "file")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: out must be a folder, got ")
    assert result.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("arguments", [["--seed", "one"], ["--sede", "1"], ["surplus"]])
def test_unknown_and_malformed_options_are_refused(arguments):
    result = call("demo", *arguments)
    assert result.exit_code == 2
    assert arguments[-1] in result.stderr or arguments[0] in result.stderr


def test_an_interrupted_demo_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("art_domainrand.demo.steps.train_all", interrupt)
    assert call("demo", "--out", tmp_path / "out").exit_code != 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", [True, 1.0, "1"])
def test_the_demo_as_a_function_takes_whole_seeds_only(tmp_path, seed):
    with pytest.raises(ValueError, match="seed must be an int"):
        run_demo(tmp_path, seed)


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "in/cat").mkdir(parents=True)
    for k in range(2):
        Image.new("RGB", (16, 16), (90 * k, 200, 30)).save(tmp_path / f"in/cat/{k}.png")
    return tmp_path / "in"


def test_list_names_everything_with_units_and_differentiability():
    result = call("list")
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    first = [line[0] for line in lines if line]
    for table in (TRANSFORMS, MIXING, CORRUPTIONS, DOMAINS, PRESETS):
        assert set(table) <= set(first)
    assert "rotation             differentiable      angle: -15 to 15 (degrees)" in result.output
    assert "jpeg                 not differentiable  quality: 30 to 95" in result.output
    headings = [line for line in result.output.splitlines() if line and not line.startswith(" ")]
    assert headings == ["Transforms", "Mixing", "Corruptions", "Domains", "Presets"]


def test_gallery_draws_the_names_it_is_given(tmp_path, photos):
    out = tmp_path / "new/gallery.png"
    result = call(
        "gallery", "--out", out, "--image", photos / "cat/1.png", "--names", "rotation, gamma", "--names", "fog"
    )
    assert result.exit_code == 0
    assert result.output == f"5 tiles, written: {out}\n"  # fog is a transform, a corruption and a domain
    assert Image.open(out).size[0] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--names", "fgo"], "Error: names must be among ["),
        (["--image", "missing.png"], "Error: [Errno 2] No such file or directory: "),
        (["--out", "gallery"], "Error: out must end in .png, .jpg or another suffix of an image, got "),
    ],
)
def test_gallery_refuses_bad_input_in_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = call("gallery", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_augment_takes_presets_and_files_alike(tmp_path, photos):
    save_pipeline(PRESETS["mild"], tmp_path / "mild.yaml")
    for out, pipeline in (("a", "mild"), ("b", tmp_path / "mild.yaml")):
        result = call("augment", photos, tmp_path / out, "--pipeline", pipeline, "--copies", 2, "--seed", 3)
        assert result.exit_code == 0
        assert f"2 images with 2 randomized each are in {tmp_path / out}" in result.output
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.png"))
    assert len(files) == 6
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_augment_reports_broken_files_at_the_end_and_does_the_rest(tmp_path, photos):
    (photos / "cat/broken.png").write_bytes((photos / "cat/1.png").read_bytes()[:40])
    (photos / "notes.txt").write_text("")
    result = call("augment", photos, tmp_path / "out", "--pipeline", "mild")
    assert result.exit_code == 1
    report = result.stderr[result.stderr.index("Error: ") :]
    assert report.startswith("Error: 1 files could not be augmented and were left out:\n  cat/broken.png: ")
    assert "Left out, as they are no images: 1 files (notes.txt)\n" in result.stderr
    assert len(list((tmp_path / "out").rglob("*.png"))) == 4


def test_augment_does_not_fail_for_files_that_are_no_images(tmp_path, photos):
    (photos / "labels.json").write_text("{}")
    (photos / "cat/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    result = call("augment", photos, tmp_path / "out", "--pipeline", "mild")
    assert result.exit_code == 0
    assert "Left out, as they are no images: 2 files (cat/Thumbs.db, labels.json)\n" in result.stderr
    assert "2 images with 1 randomized each" in result.output


def test_augment_of_no_image_at_all_fails(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/labels.json").write_text("{}")
    result = call("augment", tmp_path / "in", tmp_path / "out", "--pipeline", "mild")
    assert result.exit_code == 1
    assert result.stderr.endswith("must hold images, got none\n")


@pytest.mark.parametrize(
    ("source", "out", "options", "message"),
    [
        ("in", "in/out", ["--pipeline", "mild"], "out must lie outside source"),
        ("missing", "out", ["--pipeline", "mild"], "source must be a folder, got 'missing'"),
        ("in", "out", ["--pipeline", "wild"], "pipeline must be one of ['mild', "),
        ("in", "out", ["--pipeline", "wild.json"], "[Errno 2] No such file or directory: 'wild.json'"),
        ("in", "out", ["--pipeline", "bad.yaml"], "bad.yaml: transforms[0].angle must be a number, "),
        ("in", "out", ["--pipeline", "mild", "--copies", "0"], "copies must be an int >= 1, got 0"),
        ("in", "out", ["--pipeline", "mild", "--workers", "0"], "workers must be an int >= 1, got 0"),
        ("in", "out", ["--pipeline", "mild", "--seed", "-1"], "seed must be an int >= 0, got -1"),
        ("in", "used", ["--pipeline", "mild"], "out must be new, empty or the out of an earlier run, got 'used'"),
    ],
)
@pytest.mark.usefixtures("photos")
def test_augment_refuses_bad_input_in_one_line(tmp_path, monkeypatch, source, out, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("{version: 1, transforms: [{type: rotation, angle: wide}]}")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/mine.txt").write_text("mine")
    result = call("augment", source, out, *options)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_augment_refuses_an_out_with_results_of_other_settings(tmp_path, photos):
    assert call("augment", photos, tmp_path / "out", "--pipeline", "mild").exit_code == 0
    result = call("augment", photos, tmp_path / "out", "--pipeline", "mild", "--seed", "1")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: out must hold results of the same settings, got ")
    assert result.stderr.endswith("with seed 0 instead of 1\n")
