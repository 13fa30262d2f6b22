"""Checkpoints: whole, loadable without code, resumed to the last bit, refused for another run."""

import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand import PGD, DomainAdversarialTrainer, DomainRandomization, randomized
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.core.global_rng import (
    global_rng_state,
    preserved_global_rng,
    restore_global_rng,
    seed_global_rng,
)
from art_domainrand.training.trainer import checkpoint

from support.estimators import cnn
from support.trainer import (
    BRIGHT,
    assert_same,
    corners,
    differs,
    trainable,
    trainer_of,
    weights,
    with_dropout,
    with_norm,
)

EPOCHS, BATCH = 4, 32
SHIFTS = R.Pipeline([R.Brightness((-0.1, 0.1)), R.Sometimes(R.Flip(), 0.3)])
OPTIONS = {"objective": "trades", "ema": 0.8, "automatic_ranges": True, "randomization": SHIFTS, "clip_norm": 1.0}
CPU = torch.device("cpu")


def run(folder: Path | None, model=None, epochs: int = EPOCHS, hook=None, **options):
    """Train with dropout, random starts, moving averages and automatic ranges; the classifier and its history."""
    own = DomainRandomization([R.GaussianNoise((0.0, 0.05))], seed=3)
    classifier = trainable(with_dropout() if model is None else model, preprocessing_defences=[own])
    if hook is not None:
        classifier.model.register_forward_pre_hook(hook)
    trainer = trainer_of(classifier, **(OPTIONS | {"checkpoint": folder} | options))
    x, y = corners()
    trainer.fit(x, y, batch_size=BATCH, nb_epochs=epochs, validation_data=(x[:24], y[:24]))
    return classifier, trainer.history


def stopping_at(passes: int, stop):
    """A hook that calls ``stop`` at a forward pass in training mode; an epoch has three."""
    seen = []

    def note(module: torch.nn.Module, _: object) -> None:
        seen.append(1) if module.training else None
        if len(seen) == passes:
            stop()

    return note


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def python(code: str, timeout: float = 100, **kwargs) -> subprocess.CompletedProcess:
    """Run code that sees the tests in a new process."""
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join([str(tests), str(tests / "training"), str(tests.parent)])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
        **kwargs,
    )


def test_a_run_killed_in_the_middle_of_an_epoch_resumes_to_the_last_bit(tmp_path: Path) -> None:
    whole, history = run(None)
    killed = python(f"""
        from pathlib import Path
        import test_checkpoint as t
        t.run(Path({str(tmp_path)!r}), hook=t.stopping_at(3 * 2 + 2, t.kill))
    """)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    state = torch.load(tmp_path / checkpoint.LAST, weights_only=True)
    assert len(state["history"]) == 2
    torch.manual_seed(5)  # the caller's generators are no part of a run
    np.random.seed(5)
    resumed, again = run(tmp_path)
    assert again == history
    assert_same(weights(resumed), weights(whole))
    assert again[0]["range"] != again[-1]["range"]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first, history = run(tmp_path, epochs=1)
    seen = []
    again, same = run(tmp_path, epochs=1, hook=lambda module, _: seen.append(module.training))
    assert same == history
    assert not any(seen)
    assert_same(weights(first), weights(again))


@pytest.mark.parametrize("objective", ["free", "fast", "madry"])
def test_an_exception_and_a_restart_change_nothing(tmp_path: Path, objective: str) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    options = {"objective": objective, "replays": 2, "awp": 0.0 if objective == "free" else 0.01}
    whole, history = run(None, model=with_norm(), epochs=3, **options)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, model=with_norm(), epochs=3, hook=stopping_at(17 if objective != "fast" else 16, stop), **options)
    resumed, again = run(tmp_path, model=with_norm(), epochs=3, **options)
    assert again == history
    assert_same(weights(resumed), weights(whole))


def test_files_load_without_unpickling_code_and_hold_what_is_said(tmp_path: Path) -> None:
    classifier, history = run(tmp_path, epochs=2)
    best = torch.load(tmp_path / checkpoint.BEST, weights_only=True)
    last = torch.load(tmp_path / checkpoint.LAST, weights_only=True)
    assert last["history"] == history
    chosen = max(range(2), key=lambda epoch: (history[epoch]["robust"], epoch))
    assert best["row"] == history[chosen]
    assert_same(best["model"], weights(classifier))
    model = with_dropout()
    model.load_state_dict(best["model"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "last.pt"]


@pytest.mark.parametrize("end", ["kill", "error"])
def test_a_save_that_is_cut_short_leaves_the_old_file_whole(tmp_path: Path, monkeypatch, end: str) -> None:
    checkpoint.save(tmp_path, "last.pt", {"settings": {}, "value": torch.arange(5)})

    def half(state: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        if end == "kill":
            kill()
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", half)
    if end == "error":
        with pytest.raises(OSError, match="no space left"):
            checkpoint.save(tmp_path, "last.pt", {"settings": {}, "value": 0})
        assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
    else:
        child = os.fork()
        if child == 0:
            checkpoint.save(tmp_path, "last.pt", {"settings": {}, "value": 0})
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    state = checkpoint.load(tmp_path, "last.pt", {}, CPU)
    assert state is not None
    assert torch.equal(state["value"], torch.arange(5))


SMALL = {"objective": "madry"}


def small(folder: Path, *, rate: float = 0.05, batch: int = BATCH, n: int = 64, epochs: int = 1, model=None, **changed):
    eps, data = changed.pop("eps", 0.1), changed.pop("data", None)
    standard = {name: changed.pop(name) for name in ("preprocessing",) if name in changed}
    classifier = trainable(cnn() if model is None else model, rate, **standard)
    attack = PGD(classifier, eps=eps, eps_step=0.05, max_iter=changed.pop("max_iter", 1), verbose=False)
    trainer = trainer_of(classifier, **(SMALL | {"checkpoint": folder} | changed))
    trainer.attack = attack
    x, y = corners(n)
    trainer.fit(x, y, batch_size=batch, nb_epochs=epochs, validation_data=data)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"eps": 0.2}, r"attack\.eps must be 0\.1,"),
        ({"max_iter": 2}, r"attack\.max_iter must be 1,"),
        ({"rate": 0.1}, r"optimizer\.lr must be 0\.05,"),
        ({"batch": 16}, r"(steps|batch_size) must be"),
        ({"n": 63}, r"images must be 64,"),
        ({"epochs": 2}, r"nb_epochs must be 1,"),
        ({"seed": 1}, r"seed must be 0,"),
        ({"objective": "trades"}, r"objective must be 'madry',"),
        ({"randomization": BRIGHT}, r"randomization must be 'None',"),
        ({"ema": 0.5}, r"ema must be 0\.0,"),
        ({"model": cnn(1, 8, 4).append(torch.nn.Linear(4, 4))}, "classifier must be '\\d+ weights in"),
        ({"model": nn.Sequential(nn.Flatten(), *cnn())}, "classifier must be"),
        ({"preprocessing": (0.5, 0.25)}, "preprocessing must be"),
        ({"data": corners(8)}, "validation_data must be 'none'"),
    ],
)
def test_another_run_is_refused_in_one_sentence(tmp_path_factory, changed, name) -> None:
    folder = tmp_path_factory.getbasetemp() / "refusing"
    small(folder)  # trains the first time only
    with pytest.raises(ValueError, match=name) as error:
        small(folder, **changed)
    assert "\n" not in str(error.value)
    assert "run to resume" in str(error.value)


def test_numbers_of_numpy_are_saved_as_pythons(tmp_path: Path) -> None:
    x, y = corners(32)
    for _ in range(2):
        trainer = trainer_of(
            trainable(rate=np.float64(0.05)),
            ema=np.float64(0.5),
            clip_norm=np.float32(1),
            schedule="constant",
            checkpoint=tmp_path,
        )
        trainer.fit(x, y, batch_size=np.int64(16), nb_epochs=np.int64(1))
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert state["optimization"]["optimizer"]["param_groups"][0]["lr"] == 0.05


def test_a_model_that_randomizes_itself_resumes_to_the_last_bit(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    def model() -> nn.Module:
        return randomized(nn.Sequential(cnn()), BRIGHT, seed=0)

    whole, history = run(None, model=model(), epochs=3)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, model=model(), epochs=3, hook=stopping_at(8, stop))
    resumed, again = run(tmp_path, model=model(), epochs=3)
    assert again == history
    assert_same(weights(resumed), weights(whole))


@pytest.mark.parametrize("content", [b"", b"trash\n", b"hello", b"PK\x03\x04 half a file"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint must be a file of this library, got '.*last.pt', unreadable: "):
        checkpoint.load(tmp_path, "last.pt", {}, CPU)


def test_another_version_is_refused(tmp_path: Path) -> None:
    torch.save({"version": 0, "settings": {}}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match="checkpoint must be of version 2, got 0"):
        checkpoint.load(tmp_path, "last.pt", {}, CPU)
    torch.save(torch.zeros(3), tmp_path / "last.pt")
    with pytest.raises(ValueError, match="checkpoint must be of version 2, got None"):
        checkpoint.load(tmp_path, "last.pt", {}, CPU)


def draws() -> list[float]:
    return [float(torch.rand(1)), float(np.random.standard_normal()), random.random()]


def test_random_states_go_on_where_they_were_and_load_without_code(tmp_path: Path) -> None:
    np.random.standard_normal()  # leaves a second number for later
    checkpoint.save(tmp_path, "r.pt", {"settings": {}, "random": global_rng_state(CPU)})
    first = draws()
    state = checkpoint.load(tmp_path, "r.pt", {}, CPU)
    assert state is not None
    restore_global_rng(state["random"], CPU)
    assert draws() == first


def test_inside_a_run_the_global_generators_are_its_own_and_come_back() -> None:
    before = global_rng_state(CPU)
    found = []
    for seed in (0, 0, 1, 2):
        with preserved_global_rng(CPU):
            seed_global_rng(seed, CPU)
            found.append(draws())
    expected = draws()
    restore_global_rng(before, CPU)
    assert draws() == expected
    assert found[0] == found[1]
    assert not set(found[1]) & set(found[2])
    assert not set(found[1]) & set(found[3])


def test_training_differs_from_seed_to_seed(tmp_path: Path) -> None:
    first, _ = run(None, epochs=1)
    second, _ = run(None, epochs=1, seed=1)
    assert differs(weights(first), weights(second))


def test_a_radius_drawn_at_every_step_is_drawn_on_after_a_restart(tmp_path: Path) -> None:
    def trained(folder: Path | None, hook=None):
        classifier = trainable(with_norm())
        attack = PGD(classifier, eps=0.2, eps_step=0.1, max_iter=1, num_random_init=1, random_eps=True, verbose=False)
        if hook is not None:
            classifier.model.register_forward_pre_hook(hook)
        trainer = DomainAdversarialTrainer(classifier, attack, verbose=False, checkpoint=folder)
        trainer.fit(*corners(), batch_size=BATCH, nb_epochs=2)
        return weights(classifier)

    def stop() -> None:
        raise KeyboardInterrupt

    whole = trained(None)
    passes = len(corners()[0]) // BATCH
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, stopping_at(passes + 1, stop))
    assert (tmp_path / checkpoint.LAST).exists()
    assert_same(trained(tmp_path), whole)
