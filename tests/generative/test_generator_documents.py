"""A learned domain in documents: by the file it was saved to and a hash of its weights, in pipelines and conditions."""

import json
import warnings
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from kornia.augmentation import IntensityAugmentationBase2D
from PIL import Image

from art_domainrand import DomainGenerator, DomainRandomization, PerturbationGenerator, domain_mapping
from art_domainrand.augment import augment_folder
from art_domainrand.evaluation import evaluate
from art_domainrand.evaluation.conditions import Attacked, Clean, Custom, InDomain, Randomized, Then, Union
from art_domainrand.evaluation.conditions.documents import from_record, to_document
from art_domainrand.evaluation.conditions.known import from_document
from art_domainrand.evaluation.folder import load_evaluation
from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.evaluation.storage.identity import estimator_text
from art_domainrand.randomization import (
    OneOf,
    Pipeline,
    PixelTransform,
    Rotation,
    Sometimes,
    from_yaml,
    load_pipeline,
    save_pipeline,
    to_dict,
    to_json,
    to_yaml,
)
from art_domainrand.randomization.domains.references import Moments
from art_domainrand.randomization.kept import KEPT, kept_class
from art_domainrand.randomization.weights_in import weights_in

from support.estimators import make_classifier

X = np.random.default_rng(0).random((16, 1, 8, 8), dtype=np.float32)
Y = np.zeros(len(X), np.int64)


def learned(seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of few images
        return DomainGenerator(width=4, blocks=0).fit(X, 1 - X / 2, epochs=1, seed=seed)


@pytest.fixture(scope="module")
def domain():
    return learned()


@pytest.fixture
def saved(domain, tmp_path):
    domain.save(tmp_path / "domain.pt")
    return DomainGenerator.load(tmp_path / "domain.pt", severity=(2, 5))


def test_a_pipeline_names_the_file_and_comes_back_with_the_same_bits(saved, tmp_path):
    pipeline = Pipeline([OneOf([saved, Rotation((-5, 5))])])
    save_pipeline(pipeline, tmp_path / "pipeline.yaml")
    again = load_pipeline(tmp_path / "pipeline.yaml")
    x, draw = torch.from_numpy(X), pipeline.sample(len(X), torch.Generator().manual_seed(0))
    assert torch.equal(again.apply(x, draw), pipeline.apply(x, draw))
    assert to_json(again) == to_json(pipeline)
    assert kept_class("domain.generator") is DomainGenerator
    assert {kept_class(name).kept_as for name in KEPT} == set(KEPT)


def test_a_file_is_found_from_another_folder(domain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    domain.save("domain.pt")
    text = to_yaml(Pipeline([domain]))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert repr(from_yaml(text)) == repr(Pipeline([domain]))


def test_a_file_beside_the_document_is_found(domain, tmp_path, monkeypatch):
    """A folder with both can be moved, and be read from anywhere; what is in the working folder goes before."""
    domain.save(tmp_path / "domain.pt")
    text = "{version: 1, transforms: [{type: one_of, transforms: [{type: domain.generator, file: domain.pt}]}]}"
    (tmp_path / "pipeline.yaml").write_text(text)
    (tmp_path / "pipeline.json").write_text(json.dumps(yaml.safe_load(text)))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name in ("pipeline.yaml", "pipeline.json"):
        assert repr(load_pipeline(tmp_path / name)) == repr(Pipeline([OneOf([domain])]))
    with pytest.raises(
        ValueError, match=rf"file must be .* begins in the working folder, '{tmp_path}/elsewhere'\), got"
    ):
        from_yaml(text)
    learned(1).save("domain.pt")
    assert repr(load_pipeline(tmp_path / "pipeline.yaml")) == repr(Pipeline([OneOf([learned(1)])]))


def test_what_has_no_file_or_another_one_is_refused(saved, tmp_path):
    with pytest.raises(ValueError, match=r"transforms\[0\]: domain must be saved first, by DomainGenerator.save"):
        to_dict(Pipeline([learned()]))
    text = to_yaml(Pipeline([saved]))
    learned(seed=1).save(tmp_path / "domain.pt")
    with pytest.raises(ValueError, match=r"transforms\[0\]: weights must be .*domain\.pt, got "):
        from_yaml(text)
    (tmp_path / "domain.pt").unlink()
    with pytest.raises(ValueError, match=r"transforms\[0\]: file must be one that is there .*, got '.*domain\.pt'"):
        from_yaml(text)
    with pytest.raises(ValueError, match=r"transforms\[0\] must have the key 'file'"):
        from_yaml("{version: 1, transforms: [{type: domain.generator}]}")
    with pytest.raises(ValueError, match=r"transforms\[0\]: path must be .*, got '~nobody-here/a': .*home"):
        from_yaml("{version: 1, transforms: [{type: domain.generator, file: ~nobody-here/a}]}")
    with pytest.raises(
        ValueError, match=r"transforms\[0\]\.type must be one of .*'domain\.generator'.*, got 'domain\.g'"
    ):
        from_yaml("{version: 1, transforms: [{type: domain.g}]}")
    with pytest.raises(ValueError, match=r"transforms\[0\] has the unknown key 'width'"):
        from_yaml("{version: 1, transforms: [{type: domain.generator, file: a, width: 3}]}")


def test_no_file_that_a_document_names_runs_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"version": 1, "kind": "DomainGenerator", "shape": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match=r"path must be a file of DomainGenerator"):
        from_yaml(f"{{version: 1, transforms: [{{type: domain.generator, file: {tmp_path}/evil.pt}}]}}")
    assert not (tmp_path / "ran").exists()


def test_a_generator_is_a_condition_with_a_document(saved, tmp_path):
    condition = InDomain(saved, 4)
    assert condition.name == "domain DomainGenerator 4"
    document = json.loads(json.dumps(to_document(condition)))
    again = from_document(document)
    assert repr(again) == repr(InDomain(saved.at(5), 4))  # the severity is the condition's
    by_hand = from_document(
        {"type": "in_domain", "domain": {"type": "domain.generator", "file": f"{tmp_path}/domain.pt"}}
    )
    assert by_hand.domain._digest == saved._digest
    (tmp_path / "domain.pt").unlink()  # what has run is read without it
    assert from_record(document).name == condition.name
    several = Randomized(Pipeline([saved, OneOf([Rotation((-5, 5)), saved])]))
    assert from_record(to_document(several)).name == several.name


def test_it_does_to_images_what_domain_mapping_does(domain):
    seen = []
    look = Then(InDomain(domain, 4), Custom(lambda estimator, x, y: (seen.append(x), x)[1]))
    evaluate(make_classifier(), look, (X, Y), seed=5, diagnosed=False)
    np.testing.assert_array_equal(seen[0], domain_mapping(X, domain, 4, seed=5))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (3, "domain must be the name of a domain or a domain's mapping, got 3"),
        ({"type": "rotation"}, "domain must be a domain, got 'rotation'"),
        (
            {"type": "domain.generator", "file": "no.pt"},
            r"domain: transforms\[0\]: file must be one that is there \(a relative path begins .*, got 'no\.pt'",
        ),
        ({"type": "custom", "name": "DomainGenerator"}, "domain must not be a function"),
    ],
)
def test_a_condition_of_no_domain_is_refused(wrong, says):
    with pytest.raises(ValueError, match=rf"condition\.{says}"):
        from_document({"type": "in_domain", "domain": wrong})


def test_a_condition_of_a_domain_that_is_not_ready_is_refused():
    for unready in (DomainGenerator(), Moments()):
        with pytest.raises(ValueError, match="domain must be fitted first, by its method fit, got a "):
            InDomain(unready)
    with pytest.raises(TypeError, match="domain must be the name of a domain or a Domain, got Rotation"):
        InDomain(Rotation((-5, 5)))


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


class OwnGenerator(DomainGenerator):
    """A user's own class made from ours."""


class OwnRotation(Rotation):
    """A user's own class made from one with a name."""


class OwnPipeline(Pipeline):
    """A user's own class of pipelines."""


def test_a_class_made_from_one_of_ours_is_not_written_as_that(tmp_path):
    """It would be read back as ours, which does not do what is its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of few images
        own = OwnGenerator(width=4, blocks=0).fit(X, 1 - X / 2, epochs=1, seed=0)
    own.save(tmp_path / "own.pt")
    for refused in (own, OwnRotation((-5, 5))):
        with pytest.raises(ValueError, match=r"transforms\[0\] must be of a class that has a name .*, got Own"):
            to_dict(Pipeline([refused]))
    with pytest.raises(ValueError, match="pipeline must be a Pipeline and of no class made from it, got OwnPipeline"):
        to_dict(OwnPipeline([Rotation((-5, 5))]))
    written = to_document(InDomain(own, 4))["domain"]
    assert written["type"] == "custom"
    again = OwnGenerator.load(tmp_path / "own.pt")
    assert to_document(InDomain(again, 4))["domain"] == written


def test_a_class_made_from_a_condition_is_refused():
    class OwnClean(Clean):
        """A user's own condition."""

    with pytest.raises(ValueError, match=r"condition must be one of .* or Custom, .*, got OwnClean"):
        to_document(OwnClean())


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


@pytest.mark.parametrize(
    ("claimed", "said"),
    [({"blocks": 10**9}, "1000000000 blocks have more than"), ({"width": 10**7}, "size mismatch"), ({}, "not finite")],
)
def test_what_a_file_claims_is_not_built_before_it_is_looked_at(claimed, said, tmp_path):
    """A few bytes could ask for any time and memory."""
    learned().save(tmp_path / "g.pt")
    state = torch.load(tmp_path / "g.pt", weights_only=True)
    state["shape"] |= claimed
    if not claimed:
        next(iter(state["weights"].values())).fill_(float("nan"))
    torch.save(state, tmp_path / "claims.pt")
    with pytest.raises(ValueError, match=f"path must be a whole file of DomainGenerator, got .*{said}"):
        DomainGenerator.load(tmp_path / "claims.pt")
