"""What a model says, read in one way: scores, probabilities, one unit, classes alone, and what is no answer."""

import numpy as np
import pytest
import torch
from art.defences.postprocessor import ClassLabels
from torch import nn

from art_domainrand.evaluation.conditions import Clean, Custom, InDomain, Randomized, Then
from art_domainrand.evaluation.running.perform import perform
from art_domainrand.randomization import Pipeline, Rotation

from support.estimators import cnn, make_classifier, wrap
from support.performing import NAMES, block_of


def clean_rows(model, x, y):
    return perform(model, [Clean()], block_of(x, y), classes=NAMES).rows


def test_the_confidence_is_the_same_from_logits_and_from_probabilities(images, labels):
    logits = make_classifier()
    shares = wrap(nn.Sequential(logits.model, nn.Softmax(1)))
    one, two = clean_rows(logits, images, labels), clean_rows(shares, images, labels)
    np.testing.assert_allclose(one["confidence"], two["confidence"], rtol=1e-5)
    assert (two["margin"] <= 1).all()


@pytest.mark.parametrize(("loss", "last"), [(nn.BCELoss(), nn.Sigmoid()), (nn.BCEWithLogitsLoss(), nn.Identity())])
def test_one_unit_tells_two_classes_apart(loss, last, images):
    model = make_classifier(nn.Sequential(cnn(classes=1), last), loss=loss, nb_classes=2)
    out = model.predict(images)[:, 0]
    share = out if isinstance(loss, nn.BCELoss) else 1 / (1 + np.exp(-out))
    rows = clean_rows(model, images, np.arange(10) % 2)
    assert (rows["predicted"] == (share > 0.5)).all()
    np.testing.assert_allclose(rows["confidence"], np.maximum(share, 1 - share), rtol=1e-5)


def test_a_model_that_shows_classes_only_has_no_confidence(images, labels):
    rows = clean_rows(make_classifier(postprocessing_defences=ClassLabels()), images, labels)
    assert np.isnan(rows["confidence"]).all()
    assert (rows["predicted"] == make_classifier().predict(images).argmax(1)).all()


class Faulty(nn.Module):
    """Has no answer to bright images."""

    def __init__(self, fault):
        super().__init__()
        self.model, self.fault = cnn(), fault

    def forward(self, x):
        bright = x.mean((1, 2, 3)) > 0.9
        return self.fault(torch.where(bright[:, None], torch.nan, self.model(x)))


def test_scores_that_are_no_numbers_are_refused_by_the_samples_names(images, labels):
    images[[2, 7]] = 0.99
    block = block_of(images, labels, samples=np.arange(100, 110))
    model = make_classifier(Faulty(nn.Identity()))
    with pytest.raises(ValueError, match=r"model output must be numbers, got NaN for sample\(s\) 102"):
        perform(model, [Clean()], block, classes=NAMES)
    images[[2, 7]] = 0.5
    brighter = Custom(lambda estimator, x, y: np.ones_like(x))
    with pytest.raises(ValueError, match=r"got NaN for sample\(s\) 100, 101, 102, 103"):
        perform(model, [brighter], block, classes=NAMES)


def test_scores_of_another_number_are_refused(images, labels):
    class Other:
        def predict(self, x, batch_size=128):
            return np.zeros((len(x) + 1, 4), np.float32)

    with pytest.raises(ValueError, match="must predict one row for each image"):
        clean_rows(Other(), images, labels)
    with pytest.raises(ValueError, match=r"must have a score for each class of the labels .* got 4 scores"):
        clean_rows(make_classifier(), images, labels + 4)


@pytest.mark.parametrize("images_of", [lambda x: x[:3], lambda x: np.full_like(x, np.nan)])
def test_what_a_function_returns_must_be_images(images_of, classifier, images, labels):
    condition = Custom(lambda estimator, x, y: images_of(x), "mine")
    with pytest.raises(ValueError, match="condition 'mine' must return"):
        perform(classifier, [condition], block_of(images, labels), classes=NAMES)


def test_pixels_outside_the_range_are_refused_where_pipelines_work_on_it(classifier, images, labels):
    with pytest.raises(ValueError, match=r"x must lie within clip_values \[0, 1\]"):
        perform(classifier, [InDomain("night")], block_of(images * 1.5, labels), classes=NAMES)


def test_kept_samples_are_those_broken_at_the_smallest_distance_and_say_what_was_done(classifier, images):
    y = classifier.predict(images).argmax(1)
    condition = Then(InDomain("negative", 5), Randomized(Pipeline([Rotation((20, 40))])))
    block = block_of(images, y, sources=tuple(f"{i}.png" for i in range(10)))
    done = perform(classifier, [condition], block, classes=NAMES, keep=2)
    wrong = done.rows[~done.rows["right"]]
    nearest = wrong["sample"][np.argsort(wrong["l2"], kind="stable")][:2]
    assert [sample.sample for sample in done.samples] == nearest.tolist()
    for sample in done.samples:
        assert sample.words.startswith("domain negative at severity 5; then Rotation angle ")
        assert 20 <= float(sample.words.split()[-2]) <= 40
        assert sample.before == sample.label == NAMES[y[sample.sample]] != sample.after
        assert sample.source == f"{sample.sample}.png"
        assert sample.condition == condition.name
