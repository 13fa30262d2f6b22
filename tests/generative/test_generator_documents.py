"""A learned domain in documents: by the file it was saved to and a hash of its weights, in pipelines and conditions."""

import json
import warnings

import numpy as np
import pytest
import torch
import yaml

from art_domainrand import DomainGenerator, domain_mapping
from art_domainrand.evaluation import evaluate
from art_domainrand.evaluation.conditions import Clean, Custom, InDomain, Randomized, Then
from art_domainrand.evaluation.conditions.documents import from_record, to_document
from art_domainrand.evaluation.conditions.known import from_document
from art_domainrand.randomization import (
    OneOf,
    Pipeline,
    Rotation,
    from_yaml,
    load_pipeline,
    save_pipeline,
    to_dict,
    to_json,
    to_yaml,
)
from art_domainrand.randomization.domains.references import Moments
from art_domainrand.randomization.kept import KEPT, kept_class

from support.estimators import make_classifier
from support.learned import X, Y, learned


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
