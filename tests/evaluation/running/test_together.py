"""A union of conditions says what the table says of the same conditions one by one, at less cost."""

import numpy as np
import pytest
from torch import nn

from art_domainrand.evaluation import Clean, evaluate, union
from art_domainrand.evaluation.conditions import (
    Attacked,
    Corrupted,
    Custom,
    DomainAttacked,
    InDomain,
    Randomized,
    Then,
    Union,
)
from art_domainrand.evaluation.running.perform import perform
from art_domainrand.evaluation.summary import always_right
from art_domainrand.randomization import Brightness, GaussianNoise, Pipeline

from support.estimators import CLASSES, SHAPE, cnn, make_classifier
from support.performing import NAMES, block_of

X = np.random.default_rng(0).random((20, *SHAPE), dtype=np.float32)
PIPELINE = Pipeline([Brightness((-0.1, 0.1)), GaussianNoise(0.05)])
PARTS = {
    "noise": Randomized(PIPELINE, draws=3),
    "fog": Corrupted("gaussian_noise", 1),
    "fgsm": Attacked("fgsm", 0.005),
    "l2": Attacked("pgd", 0.05, "l2", {"max_iter": 5}),
    "domain": DomainAttacked(Pipeline(Brightness((-0.05, 0.05))), evaluations=10),
    "dark": Then(Custom(lambda e, x, y: x * 0.98, "dimmed"), Attacked("pgd", 0.005, options={"max_iter": 3})),
}


class Noisy(nn.Module):
    """A layer that draws at every call."""

    def forward(self, x):
        return nn.functional.dropout(x, 0.02, training=True)


def undecided(*layers):
    """A classifier that takes the images for several classes, and their labels, a few of them wrong."""
    model = cnn()
    classifier = make_classifier(nn.Sequential(*layers, *model))
    with_bias = list(model)[-1]
    scores = classifier.predict(X)
    with_bias.bias.data -= with_bias.bias.new_tensor(scores.mean(0))
    y = classifier.predict(X).argmax(1)
    y[::7] = (y[::7] + 1) % CLASSES
    return classifier, y


@pytest.mark.parametrize("layers", [(), (Noisy(),)], ids=["model", "random model"])
def test_it_is_the_union_of_the_table(layers):
    classifier, y = undecided(*layers)
    conditions = {"clean": Clean(), **PARTS, "all": Union(tuple(PARTS.values()))}
    found = evaluate({"model": classifier}, conditions, (X, y), seed=0, diagnosed=False)
    expected = always_right(found.outcomes, "model", list(PARTS))
    right = always_right(found.outcomes, "model", ["all"])
    np.testing.assert_array_equal(right, expected)
    assert union(found, "model", list(PARTS)).row.accuracy == expected.mean()
    alone = [found.accuracy("model", name).accuracy for name in PARTS]
    assert expected.mean() < min(alone), "no part breaks as many"
    assert expected.any()
    assert (len(found.outcomes.of("model", "all")) > 1) == bool(layers)
    spent = [found.outcomes.of("model", name)["forwards"].sum() for name in ("all", *PARTS)]
    assert layers or spent[0] < sum(spent[1:])


def test_only_the_unbroken_go_on_and_words_say_who_broke():
    classifier, y = undecided()
    told = []

    def first(estimator, x, y):
        told.append(len(x))
        return np.where(np.arange(len(x)).reshape(-1, 1, 1, 1) % 2, 1 - x, x)

    def second(estimator, x, y):
        told.append(len(x))
        return x * 0.5

    condition = Union((Custom(first), Custom(second)))
    done = perform(classifier, [condition], block_of(X, y), classes=NAMES, keep=9)
    alone = classifier.predict(first(classifier, X, y)).argmax(1) != y
    assert told[:2] == [20, (~alone).sum()]
    both = alone | (classifier.predict(X * 0.5).argmax(1) != y)
    np.testing.assert_array_equal(~done.rows["right"], both)
    assert done.samples
    for sample in done.samples:
        assert sample.words == ("first" if alone[sample.sample] else "second")
        assert sample.condition == "union of first | second"


def test_one_alone_is_itself():
    classifier, y = undecided()
    for condition in (PARTS["l2"], PARTS["dark"], InDomain("night", 2)):
        rows, own = (
            perform(classifier, [one], block_of(X, y), classes=NAMES).rows for one in (Union([condition]), condition)
        )
        assert rows.tolist() == own.tolist(), "distances, too, are measured from where the last step began"


def test_who_stands_keeps_the_image_of_least_margin():
    classifier, y = undecided()
    y = classifier.predict(X).argmax(1)
    weak = [Attacked("fgsm", 1e-5), Attacked("fgsm", 3e-5), Attacked("fgsm", 2e-5)]
    rows = perform(classifier, [Union(tuple(weak))], block_of(X, y), classes=NAMES).rows
    alone = [perform(classifier, [one], block_of(X, y), classes=NAMES).rows["margin"] for one in weak]
    np.testing.assert_array_equal(rows["margin"], np.min(alone, axis=0))


def test_wrong_arguments():
    for conditions, error, message in (
        ((), ValueError, "conditions must hold a condition"),
        (Clean(), TypeError, "conditions must be a tuple of conditions, got Clean"),
        ((Clean(), "pgd"), TypeError, r"conditions\[1\] must be a condition, got str"),
    ):
        with pytest.raises(error, match=message):
            Union(conditions)
    classifier, y = undecided()
    with pytest.raises(ValueError, match="attack must be one of"):
        perform(classifier, [Union((Attacked("pdg", 0.1),))], block_of(X, y), classes=NAMES)
