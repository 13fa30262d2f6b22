"""DomainAdversarialTrainer: what it measures, which epoch it keeps, what it warns of and shows."""

import struct
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from art_domainrand import (
    PGD,
)
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.training.trainer import scalars
from art_domainrand.training.trainer.validation import Validator, is_overfitted

from support.trainer import (
    BRIGHT,
    EPS,
    assert_same,
    corners,
    differs,
    fit,
    trainable,
    weights,
)

# Validation


def planted(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, float]], kept: list | None = None) -> None:
    """Let the validation find ``rows``, and note the weights it saw."""
    left = iter(rows)

    def measure(self: Validator) -> dict[str, float]:
        if kept is not None:
            kept.append(weights(self.classifier))
        return dict(next(left))

    monkeypatch.setattr(Validator, "measure", measure)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_epoch_of_best_robust_accuracy_is_kept(monkeypatch: pytest.MonkeyPatch, ema: float) -> None:
    kept: list = []
    planted(monkeypatch, [{"clean": 1.0, "robust": r, "fast": r} for r in (0.2, 0.5, 0.3)], kept)
    classifier = trainable()
    trainer = fit(classifier, epochs=3, data=corners(8), ema=ema)
    assert_same(weights(classifier), kept[1])
    assert differs(kept[1], kept[2])
    assert [row["robust"] for row in trainer.history] == [0.2, 0.5, 0.3]


def test_moving_averages_are_what_is_validated_and_kept() -> None:
    raw, averaged = trainable(), trainable()
    fit(raw, epochs=1)
    fit(averaged, epochs=1, ema=0.9)
    start = weights(trainable())
    model = {name: start[name].clone() for name in start}
    reference = trainable()
    from art_domainrand.training.trainer.weights import MovingAverage

    average = MovingAverage(reference.model, 0.9)
    reference.optimizer.register_step_post_hook(lambda *_: average.update(reference.model))
    fit(reference, epochs=1)
    assert_same(weights(averaged), average.values)
    assert_same(weights(raw), weights(reference))
    assert differs(weights(averaged), weights(raw))
    assert differs(weights(averaged), model)


def test_validation_is_pgd_of_ten_steps_one_step_and_the_pipeline() -> None:
    classifier = trainable()
    x, y = corners(40)
    fit(classifier, n=192, epochs=3)
    validator = Validator(classifier, x, y, PGD(classifier, np.inf, EPS), R.Pipeline([R.Invert((1.0, 1.0))]), 4, 16)
    found = validator.measure()
    attack = PGD(
        classifier, eps=EPS, eps_step=EPS / 4, max_iter=10, num_random_init=1, batch_size=16, seed=4, verbose=False
    )

    def accuracy(images: np.ndarray) -> float:
        return float((classifier.predict(images).argmax(1) == y).mean())

    assert found == validator.measure()
    assert found["clean"] == accuracy(x)
    assert found["robust"] == accuracy(attack.generate(x, y))
    assert found["shift"] == accuracy(1 - x)
    assert found["robust"] <= found["fast"] <= found["clean"]


HEALTHY = [
    [(0.3, 0.2), (0.5, 0.4), (0.6, 0.5)],
    [(0.6, 0.41), (0.7, 0.45), (0.7, 0.46)],
    [(0.9, 0.65), (0.9, 0.60), (0.95, 0.66)],
    [(0.15, 0.05), (0.2, 0.08), (0.3, 0.12)],
]


def history_of(pairs: list[tuple[float, float]]) -> list[dict[str, float]]:
    return [{"fast": fast, "robust": robust, "eps_share": 1.0} for fast, robust in pairs]


def test_the_alarm_fires_on_catastrophic_overfitting_alone() -> None:
    for pairs in HEALTHY:
        assert not any(is_overfitted(history_of(pairs[: k + 1])) for k in range(len(pairs)))
    fallen = [(0.5, 0.42), (0.6, 0.45), (0.92, 0.01), (0.95, 0.0), (0.97, 0.0)]
    assert [is_overfitted(history_of(fallen[: k + 1])) for k in range(5)] == [False, False, True, True, True]
    never = [(0.9, 0.0), (0.9, 0.02), (0.9, 0.03)]
    assert all(is_overfitted(history_of(never[: k + 1])) for k in range(3))
    falling = [(0.7, 0.55), (0.75, 0.44)]
    assert is_overfitted(history_of(falling))
    warming = [{"fast": 0.9, "robust": 0.1, "eps_share": 0.5}]
    assert not is_overfitted(warming)
    assert not is_overfitted([{"loss": 1.0}])


def test_the_trainer_warns_and_notes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, [{"clean": 1.0, "robust": r, "fast": f} for f, r in ((0.5, 0.45), (0.9, 0.0))])
    with pytest.warns(RuntimeWarning, match="catastrophic overfitting: 90.0% accuracy under one step, 0.0% under PGD"):
        trainer = fit(trainable(), epochs=2, objective="fast", data=corners(8))
    assert [row["overfitted"] for row in trainer.history] == [0.0, 1.0]


def test_one_step_training_is_watched_without_validation_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Validator, "attacked", lambda self: {"robust": 0.0, "fast": 0.9})
    with pytest.warns(RuntimeWarning, match="catastrophic overfitting"):
        trainer = fit(trainable(), objective="fast")
    assert (trainer.history[0]["train_robust"], trainer.history[0]["train_fast"]) == (0.0, 0.9)


# Progress


def records(path: Path) -> dict[tuple[str, int], float]:
    """The scalars of a TensorBoard event file: records of a length, a checksum, an event and a checksum."""
    event_pb2 = import_module("tensorboardX.proto.event_pb2")
    data, found = path.read_bytes(), {}
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = event_pb2.Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            found[value.tag, event.step] = value.simple_value
        data = data[16 + length :]
    return found


def test_scalars_of_every_epoch_are_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    trainer = fit(trainable(), epochs=2, log_dir=tmp_path, data=corners(16), randomization=BRIGHT)
    (file,) = tmp_path.iterdir()
    found = records(file)
    assert {name for name, _ in found} >= {"loss", "clean", "robust", "shift", "range"}
    for epoch, row in enumerate(trainer.history):
        for name, value in row.items():
            assert found[name, epoch] == pytest.approx(value, rel=1e-6, abs=1e-9)


def test_without_tensorboard_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(scalars, "import_module", missing)
    with pytest.raises(ImportError, match="log_dir needs tensorboard or tensorboardX: pip install tensorboardX"):
        fit(trainable(), log_dir=tmp_path)


def test_progress_shows_clean_robust_and_shift_accuracy(capsys: pytest.CaptureFixture) -> None:
    trainer = fit(trainable(), data=corners(16), randomization=BRIGHT, verbose=True)
    row, said = trainer.history[0], capsys.readouterr().err
    for name in ("clean", "robust", "shift"):
        assert f"{name}={row[name]:.3f}" in said
    fit(trainable(), verbose=False)
    assert not capsys.readouterr().err
