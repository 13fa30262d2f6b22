"""What only a CUDA device can show: the images of the CPU, a host that does not wait, memory, training on the device.

Everything else is tested on the CPU. Without a device these tests are skipped.
"""

import copy
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from art_domainrand import (
    FGSM,
    PGD,
    AutoPGD,
    CompositeAttack,
    DomainAttack,
    DomainRandomization,
    RandomizedDataGenerator,
    StrongestAttack,
    diagnose,
    domain_mapping,
    fit_randomized,
)
from art_domainrand.attacks.engine.runs import LOOK_EVERY
from art_domainrand.randomization import (
    CORRUPTIONS,
    DOMAINS,
    TRANSFORMS,
    DepthModality,
    MaskModality,
    MultiModal,
    Pipeline,
    corrupt,
)
from art_domainrand.training.trainer import loop

from support.attacks import RowWise, margins, predicted, some_images
from support.estimators import CLASSES, make_classifier, wrap
from support.trainer import corners, robust_accuracy, trainable, trainer_of, weights

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

MILD = Pipeline([TRANSFORMS[name]() for name in ("rotation", "scale", "brightness", "contrast", "gaussian_noise")])
# Every transform, and modalities that are read in three ways.
CHANGES = {name: cls() for name, cls in TRANSFORMS.items()} | {
    "stacked_modalities": MultiModal(
        {
            "thermal": TRANSFORMS["gamma"](),
            "depth": DepthModality(None, "bilinear", 0.0, "divided"),
            "mask": MaskModality(),
        },
        [TRANSFORMS["rotation"](), TRANSFORMS["scale"]()],
    )
    .stacked({"thermal": 1, "depth": 1, "mask": 1})
    .transforms[0]
}
PGD_8 = {"eps": 0.1, "eps_step": 0.03, "max_iter": 8, "verbose": False}


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """Convolutions in float32 throughout, as on the CPU."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = allowed
    torch.cuda.set_sync_debug_mode("default")


def pair() -> tuple[PyTorchClassifier, PyTorchClassifier]:
    """The same smooth classifier on the CPU and on the device."""
    here, there = wrap(RowWise()), wrap(RowWise(), device_type="gpu")
    assert there.device.type == "cuda"
    return here, there


def colour(n: int = 6, size: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


# Randomization.


@pytest.mark.parametrize("name", CHANGES)
def test_a_transform_gives_the_images_of_the_cpu(name):
    pipeline, x = Pipeline(CHANGES[name]), colour()
    draw = pipeline.sample(len(x), torch.Generator().manual_seed(0))
    here, there = pipeline.apply(x, draw), pipeline.apply(x.cuda(), draw.to("cuda"))
    assert there.is_cuda
    # A few pixels may lie on the other side of an edge.
    off = (there.cpu() - here).abs()
    assert (off > 1e-3).float().mean() < 0.005, (float(off.max()), float(off.mean()))


@pytest.mark.parametrize("name", CHANGES)
def test_slices_commute_bit_for_bit_on_the_device(name):
    pipeline, x = Pipeline(CHANGES[name]), colour(size=33).cuda()
    draw = pipeline.sample(len(x), torch.Generator("cuda").manual_seed(0))
    whole = pipeline.apply(x, draw)
    for part in (slice(0, 1), slice(2, 5), [5, 0]):
        assert torch.equal(pipeline.apply(x[part], draw[part]), whole[part])


@pytest.mark.parametrize("name", CHANGES)
def test_a_transform_and_its_gradient_do_not_wait_for_the_device(name):
    pipeline, x = Pipeline(CHANGES[name]), colour().cuda().requires_grad_()
    draw = pipeline.sample(len(x), torch.Generator("cuda").manual_seed(0))
    for mode in ("default", "error"):  # constants are copied the first time
        torch.cuda.set_sync_debug_mode(mode)
        out = pipeline.apply(x, draw)
        if out.requires_grad:
            out.sum().backward()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_give_the_images_of_the_cpu(name):
    x = colour()
    here, there = corrupt(x, name, severity=3, seed=0), corrupt(x.cuda(), name, severity=3, seed=0)
    assert (there.cpu() - here).abs().mean() < 1e-3


@pytest.mark.parametrize("name", DOMAINS)
def test_domains_give_the_images_of_the_cpu(name):
    x = colour()
    here, there = domain_mapping(x, name, seed=0), domain_mapping(x.cuda(), name, seed=0)
    assert (there.cpu() - here).abs().mean() < 1e-3


def test_boxes_follow_on_the_device():
    pipeline = Pipeline([TRANSFORMS["rotation"](), TRANSFORMS["scale"]()])
    draw, boxes = pipeline.sample(2, torch.Generator().manual_seed(0)), torch.tensor([[4.0, 4.0, 20.0, 24.0]])
    here = pipeline.geometry(draw, (32, 32)).boxes([boxes, boxes])
    there = pipeline.geometry(draw.to("cuda"), (32, 32)).boxes([boxes.cuda(), boxes.cuda()])
    torch.testing.assert_close([box.cpu() for box in there], here, atol=1e-3, rtol=0)


# Attacks.

DETERMINISTIC = {
    "FGSM": lambda c: FGSM(c, eps=0.1),
    "PGD": lambda c: PGD(c, **PGD_8),
    "PGD L2": lambda c: PGD(c, 2, **(PGD_8 | {"eps": 1.0, "eps_step": 0.3})),
    "PGD L1": lambda c: PGD(c, 1, **(PGD_8 | {"eps": 3.0, "eps_step": 1.0})),
    "search": lambda c: PGD(c, **PGD_8, loss="margin", keep_best=True, step_schedule="halving"),
}


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_an_attack_gives_the_images_of_the_cpu(name):
    x, (here, there) = some_images(), pair()
    y = predicted(here, x)
    one, two = (DETERMINISTIC[name](classifier).generate(x, y) for classifier in (here, there))
    np.testing.assert_allclose(two, one, atol=1e-4)


def test_auto_pgd_is_as_strong_as_on_the_cpu():
    """Whether a loss rose decides about its steps, so that rounding decides where it has stopped rising."""
    x, (here, there) = some_images(), pair()
    y = predicted(here, x)
    found = []
    for classifier in (here, there):
        attack = AutoPGD(classifier, eps=0.05, max_iter=30, nb_random_init=0, loss_type="margin", verbose=False)
        found.append(margins(here, attack.generate(x, y), y))
    stopped = (found[0] > 0) | (found[1] > 0)  # a sample that is fooled goes no further
    np.testing.assert_array_equal(found[0] > 0, found[1] > 0)
    np.testing.assert_allclose(found[1][~stopped], found[0][~stopped], atol=0.02)


def test_starts_without_a_seed_are_those_of_the_cpu():
    x, classifiers, found = some_images(), pair(), []
    y = predicted(classifiers[0], x)
    for classifier in classifiers:
        np.random.seed(0)
        found.append(PGD(classifier, **PGD_8, num_random_init=2, batch_size=5).generate(x, y))
    np.testing.assert_allclose(*found, atol=1e-4)


def test_a_seed_repeats_and_tensors_stay_on_the_device():
    x, (_, classifier) = torch.from_numpy(some_images()).cuda(), pair()
    options = PGD_8 | {"num_random_init": 2, "seed": 0}
    one, two = (PGD(classifier, **options).perturb(x) for _ in range(2))
    assert one.is_cuda
    assert torch.equal(one, two)


class Watched(nn.Module):
    """Passes images on; from its third to its thirteenth call on, what makes the host wait is said in ``mode``."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode, self.calls = mode, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        torch.cuda.set_sync_debug_mode(self.mode if 3 <= self.calls < 13 else "default")
        return x


@pytest.mark.parametrize(
    "options",
    [{}, {"num_random_init": 1}, {"norm": 2}, {"norm": 1}, {"loss": "margin", "keep_best": True}, {"eot_samples": 3}],
)
def test_no_step_waits_for_the_device(options):
    classifier = wrap(nn.Sequential(Watched("error"), RowWise()), device_type="gpu")
    if "eot_samples" in options:
        defence = DomainRandomization(MILD, apply_predict=True, seed=0)
        classifier = wrap(nn.Sequential(Watched("error"), RowWise()), device_type="gpu", preprocessing_defences=defence)
    x = torch.from_numpy(some_images()).cuda()
    y = torch.zeros(len(x), dtype=torch.int64, device="cuda")
    attack = PGD(classifier, **(PGD_8 | {"max_iter": 16, "seed": 0} | options))
    attack.perturb(x, y)  # constants are copied the first time
    classifier.model[0].calls = 0
    attack.perturb(x, y)
    assert classifier.model[0].calls >= 16


def test_early_stopping_looks_at_the_batch_every_few_steps_only():
    classifier = wrap(nn.Sequential(Watched("warn"), RowWise()), device_type="gpu")
    x = torch.from_numpy(some_images()).cuda()
    y = classifier.model(x).argmax(1)
    attack = PGD(classifier, **(PGD_8 | {"eps": 1e-6, "eps_step": 1e-7, "max_iter": 16}), early_stop=True)
    classifier.model[0].calls = 0
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        attack.perturb(x, y)
    waits = [w for w in said if "synchronizing CUDA operation" in str(w.message)]
    assert 1 <= len(waits) <= -(-10 // LOOK_EVERY) + 1  # and once at the end


def test_a_device_without_enough_memory_gives_the_same_images():
    model = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1), nn.Softplus(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    classifier = make_classifier(nn.Sequential(*model, nn.Linear(256, CLASSES)), input_shape=(1, 64, 64))
    classifier = wrap(copy.deepcopy(classifier.model), input_shape=(1, 64, 64), device_type="gpu")
    x = torch.rand(1024, 1, 64, 64, device="cuda", generator=torch.Generator("cuda").manual_seed(0))
    y = torch.zeros(len(x), dtype=torch.int64, device="cuda")
    options = PGD_8 | {"max_iter": 3, "loss": "margin", "keep_best": True}
    expected = PGD(classifier, **options, batch_size=64).perturb(x, y)
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1.5 * 2**30 / total)  # one layer's output takes a GiB
    try:
        with pytest.raises(torch.OutOfMemoryError):
            classifier.model(x.requires_grad_()).sum().backward()
        torch.cuda.empty_cache()
        found = PGD(classifier, **options, batch_size=1024).perturb(x.detach(), y)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert (found - expected).abs().mean() < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("targeted", [False, True])
def test_mixed_precision_keeps_the_direction(dtype, targeted):
    _, classifier = pair()
    x = some_images()
    y = predicted(classifier, x)
    criterion = (y + 1) % CLASSES if targeted else y
    loss = nn.CrossEntropyLoss()

    def value(images):
        return float(loss(torch.from_numpy(classifier.predict(images)), torch.from_numpy(criterion)))

    adversarial = PGD(classifier, **PGD_8, targeted=targeted, autocast=dtype).generate(x, criterion)
    assert (value(adversarial) < value(x) - 0.1) if targeted else (value(adversarial) > value(x) + 0.1)


def test_a_compiled_model_gives_the_same_images():
    _, classifier = pair()
    x = some_images()
    y = predicted(classifier, x)
    plain, compiled = (PGD(classifier, **PGD_8, compile=asked).generate(x, y) for asked in (False, "aot_eager"))
    np.testing.assert_allclose(compiled, plain, atol=1e-4)


def test_the_strong_attacks_run_and_domain_findings_replay_bit_for_bit():
    _, classifier = pair()
    x = some_images()
    y = predicted(classifier, x)
    weak = PGD(classifier, **PGD_8).generate(x, y)
    strong = StrongestAttack(classifier, eps=0.1, seed=0, verbose=False).generate(x, y)
    assert (predicted(classifier, strong) == y).sum() <= (predicted(classifier, weak) == y).sum()
    assert np.abs(strong - x).max() <= 0.1
    found = DomainAttack(classifier, MILD, evaluations=30, seed=0, verbose=False).find(x, y)
    np.testing.assert_array_equal(found.replay(x), found.images)
    both = CompositeAttack(classifier, MILD, eps=0.05, max_iter=5, seed=0, verbose=False).generate(x, y)
    assert (predicted(classifier, both) == y).sum() < len(y)
    assert not any(check.skipped for check in diagnose(classifier, x, y, eps=0.1).checks)


# Training.


@pytest.mark.parametrize(
    "options",
    [
        {"objective": "trades", "autocast": torch.bfloat16, "memory_format": "channels_last"},
        {"objective": "madry", "autocast": torch.float16, "ema": 0.9},
        {"objective": "madry", "automatic_ranges": True, "awp": 0.005},
        {"objective": "free", "replays": 2},
        {"objective": "consistency"},
    ],
)
def test_the_trainer_learns_on_the_device(options):
    classifier = trainable(device_type="gpu")
    x, y = corners(256)
    trainer = trainer_of(classifier, randomization=MILD, seed=0, **options)
    trainer.fit(x, y, batch_size=32, nb_epochs=10, validation_data=corners(64, seed=1))
    assert trainer.history[-1]["loss"] < trainer.history[0]["loss"]
    assert robust_accuracy(classifier) > 0.5


def test_a_resumed_run_goes_on_bit_for_bit_on_the_device(tmp_path, monkeypatch):
    torch.backends.cudnn.deterministic = True  # cuDNN's own condition
    try:
        found = []
        for place, stops in (("whole", (4,)), ("parts", (2, 4))):
            for epochs in stops:
                classifier = trainable(device_type="gpu")
                options = {"schedule": "constant", "randomization": MILD, "seed": 0, "objective": "madry"}
                trainer = trainer_of(classifier, checkpoint=tmp_path / f"{place}", **options)
                x, y = corners(96)
                if epochs == 2:
                    with monkeypatch.context() as patched:
                        patched.setattr(loop, "save_epoch", stopping_after(2))
                        with pytest.raises(KeyboardInterrupt):
                            trainer.fit(x, y, batch_size=32, nb_epochs=4)
                else:
                    trainer.fit(x, y, batch_size=32, nb_epochs=4)
            found.append(weights(classifier))
    finally:
        torch.backends.cudnn.deterministic = False
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), name


def stopping_after(epochs: int):
    """What saves an epoch, and interrupts the training after so many."""
    save, done = loop.save_epoch, []

    def saved(*arguments, **options):
        save(*arguments, **options)
        done.append(1)
        if len(done) == epochs:
            raise KeyboardInterrupt

    return saved


def test_generators_and_fit_feed_the_device():
    x, y = corners(128)
    classifier = trainable(device_type="gpu")
    before = classifier.compute_loss(x, y).mean()
    fit_randomized(classifier, x, y, randomization=MILD, batch_size=32, nb_epochs=5, seed=0)
    assert classifier.compute_loss(x, y).mean() < before
    data = RandomizedDataGenerator(x, y, batch_size=32, randomization=MILD, attack=PGD(classifier, **PGD_8), seed=0)
    shown, labels = data.get_batch()
    assert len(shown) == len(labels) == 32
    classifier.fit_generator(data, nb_epochs=1)
