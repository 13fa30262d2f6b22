"""Whether a prediction is right, and labels as indices where they are no more than that."""

import numpy as np
import pytest
import torch

from art_domainrand.core.checks import class_labels, class_targets
from art_domainrand.core.labels import correct

SCORES = [[0.1, 0.7, 0.2], [0.4, 0.4, 0.2], [0.0, 0.1, 0.9]]
ROWS = [[0, 1, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
@pytest.mark.parametrize("y", [[1, 1, 2], ROWS])
def test_the_first_of_the_largest_scores_is_the_prediction(kind, y):
    found = correct(kind(SCORES), kind(y))
    assert found.tolist() == [True, False, True]
    assert type(found) is type(kind(SCORES))


@pytest.mark.parametrize(
    "labels",
    [
        [1, 1, 2],
        np.array([1.0, 1.0, 2.0]),
        np.array([[1], [1], [2]], dtype=np.uint8),
        np.array(ROWS, dtype=np.float64),
        torch.tensor(ROWS),
        np.array(ROWS, dtype=bool),
    ],
)
def test_hard_labels_are_indices_in_every_form_and_rows_where_rows_are_asked_for(labels):
    targets = class_targets(labels, 3, 3)
    assert targets.dtype == torch.int64
    assert targets.tolist() == [1, 1, 2]
    rows = class_labels(labels, 3, 3)
    assert rows.dtype == torch.float32
    assert rows.tolist() == ROWS


def test_one_soft_label_makes_rows_of_all():
    soft = np.array([[0.5, 0.5, 0], [0, 1, 0]])
    assert class_targets(soft, 2, 3).tolist() == soft.tolist()
    assert class_targets(soft, 2, 3).dtype == torch.float32
    assert class_labels(soft, 2, 3).tolist() == soft.tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], r"class indices in \[0, 3\), got \[3\]"),
        ([0, -1], r"class indices in \[0, 3\)"),
        ([0.5, 1], r"class indices in \[0, 3\)"),
        ([0], "one label for each of the 2 samples"),
        ([[0.5, 0.2, 0.1]] * 2, "rows of sum 1"),
        ([[1.5, -0.5, 0]] * 2, "non-negative rows"),
        ([[np.nan, 1, 0]] * 2, "non-negative rows"),
        ([[1, 0]] * 2, r"have shape \(2,\), \(2, 1\) or \(2, 3\)"),
    ],
)
def test_what_is_no_label_is_named(labels, message):
    with pytest.raises(ValueError, match=message):
        class_targets(np.array(labels), 2, 3)


def test_one_output_unit_still_tells_two_classes_apart():
    assert class_targets([0, 1], 2, 1).tolist() == [0, 1]
    assert class_labels([0, 1], 2, 1).shape == (2, 2)
