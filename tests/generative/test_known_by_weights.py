"""What was learned or made by a user is known by its weights: evaluations and checkpoints go on with the same alone."""

import json
import warnings
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from kornia.augmentation import IntensityAugmentationBase2D
from PIL import Image

from art_domainrand import DomainGenerator, DomainRandomization, PerturbationGenerator
from art_domainrand.augment import augment_folder
from art_domainrand.evaluation import evaluate
from art_domainrand.evaluation.conditions import Attacked, Clean, InDomain, Randomized, Union
from art_domainrand.evaluation.folder import load_evaluation
from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.evaluation.storage.identity import estimator_text
from art_domainrand.randomization import (
    OneOf,
    Pipeline,
    PixelTransform,
    Rotation,
    Sometimes,
)
from art_domainrand.randomization.domains.references import Moments
from art_domainrand.randomization.weights_in import weights_in

from support.estimators import make_classifier
from support.learned import X, Y, learned


@pytest.fixture(scope="module")
def domain():
    return learned()


def moments(scale):
    return Moments().fit(X * np.float32(scale))


def perturbing(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of few images
        attack = PerturbationGenerator(model(), eps=0.1, epochs=1, width=4, blocks=0, seed=seed)
        return attack.fit(X, Y).against


def model():
    return make_classifier()


def bound(seed):
    return partial(perturbing(seed))


def enclosed(seed):
    against = perturbing(seed)
    return lambda estimator, norm, eps: against(estimator, norm, eps)


class Filtered(IntensityAugmentationBase2D):
    """A user's own module, with weights."""

    def __init__(self, scale):
        super().__init__(p=1.0)
        self.conv = torch.nn.Conv2d(1, 1, 1, bias=False)
        torch.nn.init.constant_(self.conv.weight, scale)

    def apply_transform(self, input, params, flags, transform=None):
        return self.conv(input).detach()


@dataclass(frozen=True, eq=False)
class Faded(PixelTransform):
    """A user's own transform, made with a module."""

    module: torch.nn.Module = field(default_factory=torch.nn.Identity)

    def apply(self, x, values):
        return self.module(x).detach()


def faded(scale):
    return Faded(Filtered(scale).conv)


MADE = {
    "domain": (lambda: InDomain(learned(0), 4), lambda: InDomain(learned(1), 4)),
    "references": (lambda: InDomain(moments(1), 4), lambda: InDomain(moments(0.5), 4)),
    "pipeline": (lambda: Randomized(Pipeline([learned(0)])), lambda: Randomized(Pipeline([learned(1)]))),
    "attack": (lambda: Attacked(perturbing(0), 0.1), lambda: Attacked(perturbing(1), 0.1)),
    "partial": (lambda: Attacked(bound(0), 0.1), lambda: Attacked(bound(1), 0.1)),
    "closure": (lambda: Attacked(enclosed(0), 0.1), lambda: Attacked(enclosed(1), 0.1)),
    "module": (lambda: Randomized(Pipeline([Filtered(0.5)])), lambda: Randomized(Pipeline([Filtered(0.25)]))),
    "transform": (lambda: Randomized(Pipeline([faded(0.5)])), lambda: Randomized(Pipeline([faded(0.25)]))),
    "inside": (
        lambda: Union([Randomized(Pipeline([Sometimes(faded(s))])) for s in (1.0, 0.5)]),
        lambda: Union([Randomized(Pipeline([Sometimes(faded(s))])) for s in (1.0, 0.25)]),
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_folder_goes_on_with_the_same_weights_alone(kind, tmp_path):
    """What was learned anew with the same seed has the same weights; with another one the folder is refused."""
    one, other = MADE[kind]

    def run(condition):
        return evaluate(model(), {"it": condition}, (X, Y), out=tmp_path / "run", diagnosed=False)

    rows = run(one()).outcomes.rows
    assert run(one()).outcomes.rows.tolist() == rows.tolist()
    with pytest.raises(EvaluationError, match=r"holds another evaluation: conditions\.it\."):
        run(other())


HOLDING = {
    "domain": lambda domain: InDomain(domain, 4),
    "pipeline": lambda domain: Randomized(Pipeline([OneOf([domain, Rotation((-5, 5))])])),
    "union": lambda domain: Union([InDomain(domain, 4), Clean()]),
}


@pytest.mark.parametrize("kind", HOLDING)
def test_a_folder_goes_on_where_it_has_been_saved_and_the_file_moved(kind, tmp_path):
    """The weights tell a generator from others; the file says only where they are."""

    def run(domain):
        conditions = {"it": HOLDING[kind](domain)}
        return evaluate(model(), conditions, (X, Y), out=tmp_path / "run", diagnosed=False).outcomes.rows.tolist()

    domain = learned()
    rows = run(domain)
    domain.save(tmp_path / "domain.pt")
    assert run(domain) == rows
    (tmp_path / "domain.pt").rename(tmp_path / "moved.pt")
    assert run(DomainGenerator.load(tmp_path / "moved.pt")) == rows
    assert list(load_evaluation(tmp_path / "run").conditions) == ["it"]
    with pytest.raises(EvaluationError, match=r"holds another evaluation: conditions\.it\..*weights was"):
        run(learned(seed=1))


def test_images_are_augmented_on_where_the_file_has_moved(domain, tmp_path):
    Image.new("L", (8, 8)).save(made_folder(tmp_path / "source") / "a.png")
    for place in ("one.pt", "other.pt"):
        domain.save(tmp_path / place)
        augment_folder(tmp_path / "source", tmp_path / "out", Pipeline([domain]))
    other = learned(seed=1)
    other.save(tmp_path / "other.pt")
    with pytest.raises(ValueError, match="another pipeline"):
        augment_folder(tmp_path / "source", tmp_path / "out", Pipeline([other]))


def made_folder(path):
    path.mkdir()
    return path


@pytest.mark.parametrize(
    "condition", [Randomized(Pipeline([Filtered(0.5)])), Union([Randomized(Pipeline([faded(1)]))])]
)
@pytest.mark.parametrize("missing", [["weights"], ["hash", "weights"]])
def test_a_folder_from_before_there_were_hashes_goes_on(condition, missing, tmp_path):
    """What cannot stand in a document stood there by its name alone, and later by a hash of what is said of it."""

    def run():
        return evaluate(model(), {"it": condition}, (X, Y), out=tmp_path / "run", diagnosed=False).outcomes.rows

    rows = run()
    manifest = tmp_path / "run" / "manifest.json"
    document = json.loads(manifest.read_text())
    it = document["conditions"]["it"]
    for key in missing:
        del it.get("conditions", [it])[0]["pipeline"][key]
    manifest.write_text(json.dumps(document))
    assert run().tolist() == rows.tolist()


def test_weights_are_found_wherever_a_function_holds_them():
    one, other = Filtered(0.5), Filtered(0.25)
    wanted = weights_in(one)
    assert wanted == weights_in(Filtered(0.5)) != weights_in(other)
    for holding in (
        one.forward,
        partial(print, one),
        partial(print, it=one),
        partial(partial(print, one)),
        lambda: one,
        lambda it=one: it,
        lambda *, it=one: it,
    ):
        assert weights_in(holding) == wanted
    assert weights_in(partial(print, one, other)) not in (None, wanted, weights_in(other))
    seen = [one]  # what a function fills while it works does not tell it from others
    assert {weights_in(value) for value in (print, lambda: seen, "pgd", Pipeline([Rotation((-5, 5))]), None)} == {None}


def test_a_model_is_known_by_the_weights_in_its_defences():
    def text(scale):
        return estimator_text(SimpleNamespace(preprocessing_defences=[DomainRandomization(faded(scale), seed=0)]))

    assert text(0.5) == text(0.5) != text(0.25)


def calling_one_another(module):
    functions = [lambda: (a, b, c, d, e, f, g, h, i, j, module) for _ in range(10)]
    a, b, c, d, e, f, g, h, i, j = functions
    return functions[-1]


def test_functions_that_call_one_another_and_weights_that_are_not_there_yet_are_no_trouble():
    known = weights_in(calling_one_another(Filtered(0.5)))
    assert known == weights_in(calling_one_another(Filtered(0.5))) != weights_in(calling_one_another(Filtered(0.25)))
    assert weights_in(torch.nn.LazyLinear(3)) is None
    assert weights_in(torch.nn.Linear(2, 2, device="meta")) is None


def test_buffers_outside_the_state_are_weights_too():
    module = torch.nn.Module()
    module.register_buffer("scale", torch.ones(1), persistent=False)
    before = weights_in(module)
    module.scale.fill_(2)
    assert before != weights_in(module) != weights_in(torch.nn.Module()) is None
