"""A name that is none is refused where it is written, and what a record holds is read all the same."""

import pytest

from art_domainrand.evaluation.conditions import Attacked, Composite, DomainAttacked, Randomized, Union
from art_domainrand.evaluation.conditions.catalogue import PIPELINES
from art_domainrand.evaluation.conditions.documents import from_record, to_document
from art_domainrand.evaluation.conditions.known import check_condition, from_document
from art_domainrand.randomization import PRESETS, Pipeline, Rotation


def test_the_names_of_pipelines_are_those_of_the_presets():
    assert set(PIPELINES) == set(PRESETS)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Attacked("pdg", 0.1), r"attack must be one of .*got 'pdg'; did you mean 'pgd'\?"),
        (lambda: Attacked("art:DeepFool", 0.1, "l1"), r"norm must be one of \['linf', 'l2'\] for the attack"),
        (lambda: DomainAttacked("milld"), r"pipeline must be one of .*got 'milld'; did you mean 'mild'\?"),
        (lambda: Randomized("ua_wod"), r"pipeline must be one of .*did you mean 'ua_wood'\?"),
        (lambda: Composite("carbn", 0.1), r"pipeline must be one of .*did you mean 'carben'\?"),
        (lambda: Union((Attacked("pgd", 0.1), Attacked("squar", 0.1))), r"did you mean 'square'\?"),
    ],
)
def test_a_misspelt_name_is_refused_when_the_condition_is_made(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("make", [DomainAttacked, Randomized, lambda pipeline: Composite(pipeline, 0.1)])
def test_what_is_no_pipeline_is_refused(make):
    with pytest.raises(TypeError, match="pipeline must be a Pipeline or the name of a preset, got list"):
        make([Rotation(3)])
    assert make(Pipeline([Rotation(3)])).pipeline == Pipeline([Rotation(3)])


def test_a_record_of_names_that_are_no_more_is_read_but_not_run():
    document = to_document(DomainAttacked("mild")) | {"pipeline": "of another version"}
    recorded = from_record(document)
    assert recorded.name == "worst of another version"
    for refused in (lambda: from_document(document), lambda: check_condition(recorded)):
        with pytest.raises(ValueError, match="pipeline must be one of"):
            refused()
    attacked = from_record({"type": "attacked", "attack": "art:Gone", "eps": 1, "norm": "l0"})
    assert attacked.name == "art:Gone l0 1"
