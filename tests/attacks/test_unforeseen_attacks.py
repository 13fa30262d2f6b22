"""The attack on the domain moves what an unforeseen adversary would: it finds what random draws do not."""

import numpy as np
import pytest
import torch

from art_domainrand import DomainAttack, worst_of
from art_domainrand.evaluation import evaluate
from art_domainrand.evaluation.conditions import DomainAttacked, InDomain
from art_domainrand.randomization import PRESETS, imagenet_ua
from art_domainrand.randomization.domains import UNFORESEEN_DOMAINS, domain_pipeline

from support.estimators import cnn, make_classifier

SIZE, IMAGES, EVALUATIONS = 16, 6, 30


@pytest.fixture(scope="module")
def judged():
    """A network of colours, smooth images, and what it takes them for."""
    model = cnn(channels=3, size=SIZE)
    classifier = make_classifier(model, input_shape=(3, SIZE, SIZE))
    coarse = torch.rand(IMAGES, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear").numpy()
    return classifier, x, classifier.predict(x).argmax(1)


@pytest.mark.parametrize("name", UNFORESEEN_DOMAINS)
def test_ascent_is_worse_for_the_model_than_as_many_random_draws(name, judged):
    classifier, x, y = judged
    drawn = worst_of(classifier, x, y, PRESETS[name], EVALUATIONS, seed=0)
    found = DomainAttack(classifier, PRESETS[name], evaluations=EVALUATIONS, seed=0, verbose=False).find(x, y)
    assert found.margins.mean() > drawn.margins.mean()
    assert (found.margins > drawn.margins).sum() > IMAGES / 2
    assert found.fooled.sum() >= drawn.fooled.sum()
    np.testing.assert_allclose(found.images, drawn_again(name, x, found.draw), atol=1e-6)


def drawn_again(name, x, draw):
    return PRESETS[name].apply(torch.from_numpy(x), draw).clamp(0, 1).numpy()


@pytest.mark.parametrize("attack", ["jpeg", "glitch", "elastic", "stadv", "recolor"])
def test_a_larger_bound_is_worse(attack, judged):
    classifier, x, y = judged
    margins = [
        DomainAttack(classifier, imagenet_ua(attack, level), evaluations=EVALUATIONS, seed=0, verbose=False)
        .find(x, y)
        .margins.mean()
        for level in ("low", "medium", "high")
    ]
    assert margins[0] < margins[1] < margins[2]


@pytest.mark.parametrize("name", UNFORESEEN_DOMAINS)
def test_severities_one_three_and_five_are_the_published_levels(name):
    x = torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for severity, level in ((1, "low"), (3, "medium"), (5, "high")):
        alone, domain = imagenet_ua(name.removeprefix("ua_"), level), domain_pipeline(name, severity)
        draw = domain.sample(3, torch.Generator().manual_seed(0))
        values = alone.transforms[0].values(draw.u[:, 1:].double(), domain_seeds(domain, draw))
        torch.testing.assert_close(domain.apply(x, draw), alone.transforms[0].apply(x, values), atol=1e-6, rtol=0)


def domain_seeds(pipeline, draw):
    """The seeds that the only transform of a pipeline is given."""
    return pipeline.chain.values(draw.u, draw.seeds)["0"].get("seed", draw.seeds)


def test_conditions_name_them(judged):
    classifier, x, y = judged
    conditions = [DomainAttacked("ua_elastic", 12), DomainAttacked("recolor", 12), InDomain("ua_wood", 5)]
    table = evaluate(classifier, conditions, (x, y), diagnosed=False, seed=0).outcomes
    for condition in conditions:
        assert table.of("model", condition.name)["right"].shape == (1, IMAGES)
    with pytest.raises(ValueError, match=r"domain must be one of .*'ua_wood'.*, got 'ua_wod'"):
        evaluate(classifier, [InDomain("ua_wod")], (x, y), diagnosed=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bark",), r"attack must be one of \['gabor', .*'recolor'\], got 'bark'"),
        (("wood", "hi"), r"level must be one of \['low', 'medium', 'high'\] or a number >= 0, got 'hi'"),
        (("wood", -0.1), r"level must be one of \['low', 'medium', 'high'\] or a number >= 0, got -0.1"),
        (("wood", "low", "mnist"), r"data must be one of \['cifar10', 'imagenet'\], got 'mnist'"),
        (("stadv", 0.2), r"level must be at most 0.12 for 'stadv', got"),
    ],
)
def test_what_there_is_not_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        imagenet_ua(*arguments)
