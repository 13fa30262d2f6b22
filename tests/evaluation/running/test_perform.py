"""Conditions performed on a block: rows against closed forms, ART's own attacks, and models that count."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent

from art_domainrand.evaluation.conditions import Attacked, Clean
from art_domainrand.evaluation.outcomes import Outcomes
from art_domainrand.evaluation.running.perform import perform

from support.estimators import CLASSES
from support.performing import NAMES, block_of, inner_images, linear


def test_clean_rows_say_what_the_model_predicts(classifier, images, labels):
    done = perform(classifier, [Clean()], block_of(images, labels), classes=NAMES)
    scores = classifier.predict(images)
    rows = done.rows
    assert (rows["predicted"] == scores.argmax(1)).all()
    assert (rows["right"] == (scores.argmax(1) == labels)).all()
    own = scores[np.arange(10), labels]
    others = np.where(np.eye(CLASSES, dtype=bool)[labels], -np.inf, scores).max(1)
    np.testing.assert_allclose(rows["margin"], own - others, rtol=1e-5)
    shares = torch.softmax(torch.from_numpy(scores), 1).numpy().max(1)
    np.testing.assert_allclose(rows["confidence"], shares, rtol=1e-5)
    assert (rows["sample"] == np.arange(10)).all()
    assert (rows["label"] == labels).all()
    assert not rows["linf"].any()
    assert (rows["forwards"] == 1).all()
    assert not rows["backwards"].any()
    Outcomes.joined([rows], ["m"], ["clean"], NAMES)


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", np.inf)])
def test_a_linear_model_falls_where_the_margin_is_less_than_eps_times_the_dual_norm(norm, dual):
    model, weights = linear()
    x = inner_images(40)
    scores = model.predict(x)
    y = scores.argmax(1)
    radius = np.abs(scores[:, 0] - scores[:, 1]) / np.linalg.norm(weights[0] - weights[1], dual)
    grid = np.quantile(radius, [0, 0.2, 0.4, 0.6, 0.8, 1]) * [0.5, 1, 1, 1, 1, 1.1] + 1e-5
    rounding = np.spacing(np.float32(1)) / 2  # no pixel of the cube is nearer than this to what was computed
    family = [Attacked("fgsm", float(eps), norm) for eps in grid]
    rows = perform(model, family, block_of(x, y), classes=NAMES).rows
    for place, eps in enumerate(grid):
        some = rows[rows["condition"] == place]
        # In L1 the optimum changes one pixel until the box stops it, so it is met only for balls within the box.
        clear = np.abs(radius - eps) > 1e-3 * radius if norm != "l1" else (eps < 0.4) & (np.abs(radius - eps) > 0.01)
        assert (some["right"] == (radius > eps))[clear].all()
        assert (some[norm] <= eps * (1 + 1e-4) + rounding).all()


def test_a_family_is_arts_own_attack_where_that_is_named(classifier, images):
    y = classifier.predict(images).argmax(1)
    art = ProjectedGradientDescent(classifier, eps=0.2, eps_step=0.05, max_iter=5, batch_size=4, verbose=False)
    expected = classifier.predict(art.generate(images, y)).argmax(1)
    named = Attacked(
        "art:ProjectedGradientDescent", 0.2, options={"eps_step": 0.05, "max_iter": 5, "num_random_init": 0}
    )
    rows = perform(classifier, [named], block_of(images, y), classes=NAMES).rows
    assert (rows["predicted"] == expected).all()
    assert (expected != y).any()


def test_samples_that_are_wrong_already_are_not_attacked(classifier, images, labels):
    rows = perform(classifier, [Attacked("pgd", 0.3)], block_of(images, labels), classes=NAMES).rows
    wrong = classifier.predict(images).argmax(1) != labels
    assert wrong.any()
    assert not wrong.all()
    assert not rows["linf"][wrong].any()
    assert not rows["right"][wrong].any()
    assert (rows["forwards"][wrong] == 1).all()
    assert (rows["linf"][~wrong] > 0).all()
