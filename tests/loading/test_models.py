"""Models by name: what is loaded computes what its own library says, and what is not can be told in one line."""

import pickle
import sys

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from safetensors.torch import save_file
from torch import nn

from art_domainrand.loading import ModelRequest, chosen_device, load_estimator, runs_code

SHAPE, CLASSES = (3, 16, 16), 4
CODE = """
from torch import nn
from beside import HIDDEN
def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 4))
made = make()
def needs(something): ...
def raises(): raise RuntimeError("two\\nlines")
def text(): return "no model"
def estimator():
    from art.estimators.classification import PyTorchClassifier
    return PyTorchClassifier(make(), nn.CrossEntropyLoss(), (3, 16, 16), 4, clip_values=(0, 1), device_type="cpu")
"""


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 5), nn.ReLU(), nn.Linear(5, 4)).eval()


@pytest.fixture
def images():
    return np.random.default_rng(0).random((6, *SHAPE), dtype=np.float32)


@pytest.fixture
def code(tmp_path):
    (tmp_path / "beside.py").write_text("HIDDEN = 5")
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path / "mine.py"


def scores(module, images):
    with torch.no_grad():
        return module(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize("name", ["make", "made", "estimator"])
def test_code_gives_a_model(code, images, name):
    found = load_estimator(ModelRequest(f"{code}:{name}"), SHAPE, CLASSES)
    assert isinstance(found, PyTorchClassifier)
    assert found.predict(images).shape == (6, CLASSES)
    assert runs_code(f"{code}:{name}") == str(code)


def test_a_module_is_found_in_the_current_folder(code, images, monkeypatch):
    monkeypatch.chdir(code.parent)
    assert load_estimator(ModelRequest("mine:make"), SHAPE, CLASSES).predict(images).shape == (6, CLASSES)


def save_nested(weights, path):
    torch.save({"epoch": 3, "state_dict": {f"module.model.{name}": value for name, value in weights.items()}}, path)


@pytest.mark.parametrize(
    ("file", "save"),
    [("w.safetensors", save_file), ("w.pt", torch.save), ("w.pth", save_nested)],
    ids=["safetensors", "state dict", "wrapped"],
)
def test_weights_make_the_model_that_they_came_from(code, images, file, save):
    own = network()
    save(own.state_dict(), code.parent / file)
    found = load_estimator(ModelRequest(f"{code}:make", str(code.parent / file)), SHAPE, CLASSES)
    np.testing.assert_array_equal(found.predict(images), scores(own, images))


@pytest.mark.parametrize("kind", ["exported", "script"])
def test_files_of_models(tmp_path, images, kind):
    own, path = network(), tmp_path / "model.pt2"
    x = torch.from_numpy(images)
    if kind == "exported":
        batch = torch.export.Dim("batch", min=1, max=1024)
        torch.export.save(torch.export.export(own, (x,), dynamic_shapes=({0: batch},)), path)
    else:
        torch.jit.save(torch.jit.trace(own, x), path)
    found = load_estimator(ModelRequest(str(path)), SHAPE, CLASSES)
    np.testing.assert_allclose(found.predict(images), scores(own, images), rtol=1e-5, atol=1e-6)
    y = np.arange(6) % CLASSES
    x = x.requires_grad_()
    nn.functional.cross_entropy(own(x), torch.from_numpy(y), reduction="sum").backward()
    np.testing.assert_allclose(
        found.loss_gradient(images, np.eye(CLASSES, dtype=np.float32)[y]), x.grad / 6, rtol=1e-4, atol=1e-7
    )
    assert runs_code(str(path)) == str(path)


def test_a_program_for_one_number_of_images_is_told_apart(tmp_path, images):
    torch.export.save(torch.export.export(network(), (torch.from_numpy(images),)), tmp_path / "six.pt2")
    with pytest.raises(ValueError, match=r"to be exported for any number of images \(dynamic_shapes\)"):
        load_estimator(ModelRequest(str(tmp_path / "six.pt2")), SHAPE, CLASSES)


def test_normalization_is_inside(code, images):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    own = network()
    save_file(own.state_dict(), code.parent / "w.safetensors")
    request = ModelRequest(f"{code}:make", str(code.parent / "w.safetensors"), mean, std)
    want = scores(own, (images - np.float32(mean)[:, None, None]) / np.float32(std)[:, None, None])
    np.testing.assert_allclose(load_estimator(request, SHAPE, CLASSES).predict(images), want, rtol=1e-4, atol=1e-5)


def test_torchvision_without_weights_is_its_architecture_and_follows_the_seed():
    one, same, other = (
        load_estimator(ModelRequest("torchvision:squeezenet1_1"), (3, 32, 32), 7, seed) for seed in (0, 0, 1)
    )
    x = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    assert one.predict(x).shape == (2, 7)
    np.testing.assert_array_equal(one.predict(x), same.predict(x))
    assert not np.array_equal(one.predict(x), other.predict(x))
    assert runs_code("torchvision:squeezenet1_1") is None


def test_timm_without_weights():
    pytest.importorskip("timm")
    found = load_estimator(ModelRequest("timm:resnet10t"), (1, 32, 32), 3)
    assert found.predict(np.zeros((2, 1, 32, 32), np.float32)).shape == (2, 3)


def test_two_classes_by_one_unit(tmp_path):
    (tmp_path / "one.py").write_text(
        "from torch import nn\nmake = lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 1))"
    )
    found = load_estimator(ModelRequest(f"{tmp_path / 'one.py'}:make"), (1, 2, 2), 2)
    assert found.nb_classes == 2


def test_a_pickle_is_never_run(code, tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    for path, save in (
        (tmp_path / "a.pt", torch.save),
        (tmp_path / "b.pkl", lambda o, p: p.write_bytes(pickle.dumps(o))),
    ):
        save({"0.weight": Evil()}, path)
        with pytest.raises(ValueError, match="weights must be"):
            load_estimator(ModelRequest(f"{code}:make", str(path)), SHAPE, CLASSES)
    assert not (tmp_path / "ran").exists()


BAD = [
    ("mine.py:mak", {}, "model must name something in mine.py, got 'mak'; did you mean 'make'"),
    ("mine.py:needs", {}, "model must be made by a call without arguments"),
    ("mine.py:raises", {}, "RuntimeError: two lines"),
    ("mine.py:text", {}, "model must be an nn.Module or an ART estimator, got mine.py:text that gave str"),
    ("none.py:make", {}, "model must be made by code that runs, got 'none.py': FileNotFoundError"),
    ("no_such_module:make", {}, "model must be made by code that runs, got 'no_such_module': ModuleNotFoundError"),
    ("torchvision:resnet51", {}, "of torchvision, got 'resnet51'; did you mean 'resnet"),
    ("net.safetensors", {}, "'net.safetensors', which holds weights alone: name it as weights"),
    ("no_such.pt2", {}, "model must be a file that is there"),
    ("weights.pt", {}, "got 'weights.pt'; the weights of a model go to --weights"),
    ("broken.pt2", {}, "model must be an exported program or TorchScript"),
    ("resnet50", {}, "model must be FILE.py:NAME, package.module:NAME, torchvision:NAME"),
    ("mine.py:make", {"weights": "none.pt"}, "weights must be a file that is there"),
    ("mine.py:make", {"weights": "broken.pt2"}, "weights must be"),
    ("mine.py:make", {"weights": "other.pt"}, "got with 3.weight of shape (6, 5) instead of (4, 5)"),
    ("mine.py:make", {"weights": "strange.pt"}, "without 1.weight, 1.bias, 3.weight and 1 more; with a, "),
    ("mine.py:make", {"weights": "pretrained"}, "weights must be a file, or a model be of torchvision, timm, hf"),
    ("mine.py:make", {"mean": (0.5, 0.5), "std": (1, 1)}, "mean must hold a value for each of 3 channels"),
    ("mine.py:estimator", {"mean": (0.5,), "std": (1,)}, "weights, mean and std must be left out for an ART estimator"),
]


@pytest.mark.parametrize(("model", "options", "message"), BAD)
def test_what_cannot_be_loaded_is_told_in_one_line(code, monkeypatch, model, options, message):
    monkeypatch.chdir(code.parent)
    torch.save(network().state_dict(), "weights.pt")
    torch.save({**network().state_dict(), "3.weight": torch.zeros(6, 5)}, "other.pt")
    torch.save({"a": torch.zeros(1)}, "strange.pt")
    code.with_name("broken.pt2").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the message follows
        load_estimator(ModelRequest(model, **options), SHAPE, CLASSES)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((3, 16, 16), 5, "model must give scores of the 5 classes of the data, got shape (2, 4) for 2 images"),
        ((3, 8, 8), 4, "model must take 2 images of shape (3, 8, 8), got RuntimeError: "),
    ],
)
def test_a_model_for_other_data_is_told_in_one_line(code, shape, classes, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the message follows
        load_estimator(ModelRequest(f"{code}:make"), shape, classes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "given", [{"mean": (0.5,)}, {"mean": (0.5,), "std": (0.0,)}, {"mean": (float("nan"),), "std": (1.0,)}]
)
def test_normalization_that_cannot_be(given):
    with pytest.raises(ValueError, match="must"):
        ModelRequest("a.py:b", **given)


def test_a_library_that_is_missing_is_named_with_how_to_install_it(monkeypatch):
    for kind, module, distribution in (("hf", "transformers", "transformers"), ("timm", "timm", "timm")):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
        with pytest.raises(ValueError, match=f"model must be of an installed library: pip install {distribution}$"):
            load_estimator(ModelRequest(f"{kind}:some/model"), SHAPE, CLASSES)


def test_devices(monkeypatch):
    assert chosen_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [chosen_device(name) for name in ("auto", "cuda", "cuda:0")] == ["cuda:1", "cuda:1", "cuda:0"]
    for name in ("cuda:2", "tpu", "cpu:1", "cuda:", "cuda:x", ""):
        with pytest.raises(ValueError, match="device must"):
            chosen_device(name)
