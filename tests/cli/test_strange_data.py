"""Models and data that nobody here made: other libraries' architectures, mixed folders, very few images, one class."""

import numpy as np
import pytest
from PIL import Image

from art_domainrand.evaluation import load_evaluation

from support.commands import call

ONE_ATTACK = ["--attack", "fgsm", "--eps", "2/255", "--device", "cpu"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_npz(path, n, classes, shape, names=True):
    rng = np.random.default_rng(0)
    arrays = {"x": rng.integers(0, 256, (n, *shape), dtype=np.uint8), "y": rng.integers(0, classes, n)}
    if names:
        arrays["classes"] = np.array([f"class {k}" for k in range(classes)])
    np.savez(path, **arrays)


@pytest.fixture
def mixed(folder):
    """A folder of every kind of image file, of other sizes and modes, with a file that is no image beside them."""
    rng = np.random.default_rng(0)
    kinds = [
        ("RGB", "png"),
        ("L", "png"),
        ("P", "png"),
        ("CMYK", "jpg"),
        ("RGBA", "png"),
        ("1", "bmp"),
        ("RGB", "webp"),
    ]
    for k, (mode, suffix) in enumerate(kinds):
        at = folder / f"in/{'ab'[k % 2]} class"
        at.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (30 + k, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(at / f"{k} é.{suffix}")
    deep = rng.integers(0, 65536, (20, 50)).astype(np.uint16)
    Image.fromarray(deep).save(folder / "in/a class/deep.tif")
    (folder / "in/notes.txt").write_text("no class")
    (folder / "in/a class/notes.txt").write_text("no image")
    return "imagefolder:in"


@pytest.mark.parametrize("model", ["torchvision:squeezenet1_1", "timm:resnet10t"])
def test_architectures_on_a_mixed_folder(mixed, model):
    if model.startswith("timm"):
        pytest.importorskip("timm")
    result = call("evaluate", "--model", model, "--data", mixed, "--size", 32, *ONE_ATTACK)
    assert result.exit_code == 0
    assert f"{model} has no weights" in result.stderr
    found = load_evaluation("evaluation")
    assert found.outcomes.classes == ("a class", "b class")
    assert len(found.outcomes.samples) == 8


def test_a_mixed_folder_is_attacked_into_one_that_can_be_read(mixed, folder):
    model = ["--model", "torchvision:squeezenet1_1"]
    assert call("attack", *model, "--data", mixed, "--size", 32, "--out", "out", *ONE_ATTACK).exit_code == 0
    assert call("evaluate", *model, "--data", "imagefolder:out/images", *ONE_ATTACK).exit_code == 0


@pytest.mark.parametrize(
    ("n", "classes", "shape", "names"),
    [(3, 3, (3, 8, 8), True), (3, 2, (1, 8, 8), False), (5, 1, (3, 8, 8), True), (4, 1000, (3, 8, 8), True)],
    ids=["three images", "without names", "one class", "1,000 classes"],
)
def test_few_images_one_class_and_many(folder, n, classes, shape, names):
    write_npz("data.npz", n, classes, shape, names)
    outputs = max(classes, 2)
    code = f"nn.Sequential(nn.Flatten(), nn.Linear({int(np.prod(shape))}, {outputs}))"
    (folder / "net.py").write_text(f"from torch import nn\ndef make():\n    return {code}\n")
    result = call("evaluate", "--model", "net.py:make", "--data", "npz:data.npz", "--corruptions", "fog", *ONE_ATTACK)
    assert result.exit_code == 0
    assert (folder / "evaluation/report.html").stat().st_size > 1000
    assert len(load_evaluation("evaluation").outcomes.samples) == n


def test_a_model_of_other_classes_is_one_line(folder):
    write_npz("data.npz", 4, 7, (3, 8, 8))
    (folder / "net.py").write_text(
        "from torch import nn\nmake = lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 6))"
    )
    result = call("evaluate", "--model", "net.py:make", "--data", "npz:data.npz", *ONE_ATTACK)
    assert result.exit_code == 2
    assert "model must give scores of the 7 classes of the data, got shape (2, 6) for 2 images" in result.stderr


def test_sizes_are_for_data_that_have_any(folder):
    write_npz("data.npz", 4, 2, (3, 8, 8))
    result = call("evaluate", "--model", "torchvision:resnet18", "--data", "npz:data.npz", "--size", 9, *ONE_ATTACK)
    assert result.exit_code == 2
    assert "--size must be given for digits and imagefolder only" in result.stderr
