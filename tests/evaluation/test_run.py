"""Cells, which were before conditions, and accuracies of models in them: they still say what they said."""

import numpy as np
import pytest
import torch

from art_domainrand import FGSM
from art_domainrand.core.random import SHIFT, keys_of
from art_domainrand.evaluation import (
    Clean,
    Randomized,
    accuracy_rows,
    attacked,
    clean,
    evaluate,
    in_turn,
    load_evaluation,
    shifted,
)
from art_domainrand.randomization import Brightness, Pipeline, Rotation
from art_domainrand.randomization.core.sampling import keyed_draws

pytestmark = pytest.mark.filterwarnings("ignore:.* is replaced:DeprecationWarning")
PIPELINE = Pipeline([Rotation((-30, 30)), Brightness((0.3, 0.6))])


class Threshold:
    """Says 1 where the first pixel is above ``level``, else 0."""

    def __init__(self, level):
        self.level = level

    def predict(self, x, batch_size=128):
        above = x[:, 0, 0, 0] > self.level
        return np.stack([~above, above], axis=1).astype(np.float32)


def test_every_model_is_judged_in_every_cell():
    x = np.linspace(0, 0.9, 10, dtype=np.float32).reshape(10, 1, 1, 1)
    y = (x[:, 0, 0, 0] > 0.45).astype(np.int64)
    models = {"right": Threshold(0.45), "late": Threshold(0.65)}
    cells = {
        "clean": clean,
        "raised": lambda estimator, x, y: x + 0.2,
        "raised twice": in_turn(*[lambda e, x, y: x + 0.2] * 2),
    }
    rows = accuracy_rows(models, cells, x, y)
    assert [(row.model, row.cell) for row in rows] == [(m, c) for m in models for c in cells]
    assert [row.accuracy for row in rows] == [1, 0.8, 0.6, 0.8, 1, 0.8]
    assert {row.n for row in rows} == {10}
    with pytest.warns(DeprecationWarning, match=r"write evaluate\(models, conditions, \(x, y\)\)"):
        assert evaluate(models, cells, x, y) == rows


def test_cells_are_conditions_and_clean_is_known(tmp_path, classifier, images):
    y = np.arange(len(images)) % 4
    cells = {"clean": clean, "attacked": attacked(lambda e: FGSM(e, eps=0.1)), "shift": shifted(PIPELINE, 0)}
    evaluation = evaluate({"m": classifier}, cells, (images, y), out=tmp_path, diagnosed=False)
    assert evaluation.rows() == accuracy_rows({"m": classifier}, cells, images, y)
    assert load_evaluation(tmp_path).conditions["clean"] == Clean()


@pytest.mark.parametrize(
    ("make", "instead"),
    [
        (lambda: attacked(FGSM), r"write Attacked\("),
        (lambda: shifted(PIPELINE, 0), r"write Randomized\("),
        (lambda: in_turn(clean, clean), r"write Then\("),
    ],
)
def test_makers_say_what_replaces_them_to_who_calls_them(make, instead):
    with pytest.warns(DeprecationWarning, match=instead) as warned:
        make()
    assert [one.filename for one in warned] == [__file__]


@pytest.mark.parametrize("y", [np.zeros(3, np.int64), np.eye(4)])
def test_labels_must_be_one_index_for_each_image(y):
    with pytest.raises(ValueError, match="y must hold one class index for each of the 4"):
        accuracy_rows({"m": Threshold(0)}, {"clean": clean}, np.zeros((4, 1, 1, 1), np.float32), y)


def test_cells_in_turn_work_on_each_others_images():
    double, add = (lambda e, x, y: 2 * x), (lambda e, x, y: x + 1)
    assert in_turn(double, add)(None, 3, None) == 7


def test_a_shift_is_one_fixed_draw_clipped(images):
    cell = shifted(PIPELINE, seed=5)
    changed = cell(None, images, None)
    draw = keyed_draws(PIPELINE, keys_of(5, SHIFT, torch.arange(len(images))))
    drawn = PIPELINE.apply(torch.from_numpy(images), draw)
    assert drawn.max() > 1
    assert np.array_equal(changed, drawn.clamp(0, 1).numpy())
    assert np.array_equal(cell(None, images[:4], None), changed[:4])
    assert np.array_equal(changed, cell("another model", images, None))
    assert not np.array_equal(changed, shifted(PIPELINE, seed=6)(None, images, None))


def test_an_attack_is_made_for_the_estimator_and_told_the_labels(classifier, images):
    y = np.arange(len(images)) % 4
    adversarial = attacked(lambda estimator: FGSM(estimator, eps=0.1))(classifier, images, y)
    assert np.array_equal(adversarial, FGSM(classifier, eps=0.1).generate(images, y))
    assert not np.array_equal(adversarial, FGSM(classifier, eps=0.1).generate(images))


def test_evaluation_leaves_the_global_generators_alone(classifier, images):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    labels = np.zeros(len(images), np.int64)
    accuracy_rows({"m": classifier}, {"clean": clean, "shift": shifted(PIPELINE, 0)}, images, labels)
    evaluate(classifier, [Clean(), Randomized(PIPELINE)], (images, labels), diagnosed=False)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


@pytest.mark.parametrize("pixel", [1.5, -0.1, np.nan])
def test_a_shift_refuses_pixels_outside_the_unit_range(pixel):
    x = np.full((2, 1, 4, 4), 0.5, np.float32)
    x[1, 0, 2, 2] = pixel
    with pytest.raises(ValueError, match=r"x must be in \[0, 1\] for a shift, got pixels from"):
        shifted(PIPELINE, 0)(None, x, None)


def test_scores_that_are_nan_are_not_an_answer():
    class Broken:
        def predict(self, x, batch_size):
            return np.where(np.arange(len(x))[:, None] < 2, np.nan, np.eye(3)[np.zeros(len(x), int)])

    x, y = np.zeros((5, 1, 1, 1), np.float32), np.zeros(5, np.int64)
    with pytest.raises(ValueError, match="got NaN for 2 of 5 images"):
        accuracy_rows({"broken": Broken()}, {"clean": clean}, x, y)
