"""Conditions as documents: what is written is read back, and what cannot be read is refused where it stands."""

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from art_domainrand.attacks.composite import ORDERS
from art_domainrand.evaluation.conditions import (
    Attacked,
    Clean,
    Composite,
    Corrupted,
    Custom,
    DomainAttacked,
    InDomain,
    Randomized,
    Then,
    Union,
)
from art_domainrand.evaluation.conditions.documents import from_record, to_document
from art_domainrand.evaluation.conditions.known import from_document
from art_domainrand.evaluation.conditions.names import BALLS, COMPOSITE_ORDERS
from art_domainrand.evaluation.conditions.values import read_eps
from art_domainrand.randomization import CORRUPTIONS, DOMAINS, PRESETS, Pipeline, Rotation
from art_domainrand.randomization.core.transform import PixelTransform

EPS = st.floats(0, 1e3, allow_nan=False) | st.integers(0, 255).map(lambda levels: levels / 255)
PIPELINES = st.sampled_from(sorted(PRESETS)) | st.floats(-90, 90).map(lambda angle: Pipeline([Rotation(angle)]))
COUNTS = st.integers(1, 1000)
SEVERITIES = st.integers(1, 5)
OPTIONS = st.dictionaries(st.sampled_from(["max_iter", "decay", "loss"]), st.integers(0, 9) | st.floats(0, 1))
PLAIN = st.one_of(
    st.builds(Clean),
    st.builds(Attacked, st.sampled_from(["pgd", "strongest", "art:DeepFool"]), EPS, st.just("linf")),
    st.builds(Attacked, st.just("pgd"), EPS, st.sampled_from(BALLS), OPTIONS),
    st.builds(Attacked, st.just("minimum"), st.integers(0, 255), st.just("l0")),
    st.builds(Corrupted, st.sampled_from(sorted(CORRUPTIONS)), SEVERITIES),
    st.builds(InDomain, st.sampled_from(sorted(DOMAINS)), SEVERITIES),
    st.builds(Randomized, PIPELINES, COUNTS),
    st.builds(DomainAttacked, PIPELINES, COUNTS),
    st.builds(Composite, PIPELINES, EPS, st.sampled_from(BALLS), st.sampled_from(ORDERS), COUNTS, COUNTS),
)
IN_TURN = PLAIN | st.builds(Then, PLAIN, PLAIN) | st.builds(Then, st.builds(Then, PLAIN, PLAIN), PLAIN)
CONDITION = IN_TURN | st.builds(Union, st.lists(IN_TURN, min_size=1, max_size=3))


@settings(deadline=None)
@given(CONDITION)
def test_a_condition_is_read_back_from_yaml_as_it_was(condition):
    text = yaml.safe_dump(to_document(condition))
    assert from_document(yaml.safe_load(text)) == condition
    assert from_record(yaml.safe_load(text)) == condition


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("8/255", 8 / 255),
        (" 1 / 4 ", 0.25),
        ("0.1", 0.1),
        ("1e-3", 1e-3),
        (".5", 0.5),
        (2, 2.0),
        ("1.5/255", 1.5 / 255),
    ],
)
def test_a_radius_is_a_number_or_a_quotient(given, meant):
    assert read_eps(given) == meant


NO_RADIUS = [
    *("8/0", "-1/255", "eight", "1/2/3", "__import__('os')", "", "inf", "nan", "1e999", "8/255;", "0x10", "\u0663"),
    *(True, None, -1, math.nan, math.inf, "9" * 10**6, [8], 10**400),
]


@pytest.mark.parametrize("given", NO_RADIUS, ids=lambda given: str(given)[:20])
def test_anything_else_is_no_radius(given):
    with pytest.raises(ValueError, match=r"^eps must be a finite number >= 0 or a text such as") as error:
        read_eps(given)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"type": "atacked"}, r"condition.type must be one of .* got 'atacked'; did you mean 'attacked'\?"),
        ({}, "condition.type must be one of .* got none"),
        ([], "condition must be a mapping"),
        ({"type": ["attacked"]}, "condition.type must be one of"),
        ({"type": "attacked", "attack": "pgd"}, "condition must have the key 'eps'"),
        ({"type": "attacked", "attack": "pgd", "epsilon": 1}, r"unknown key 'epsilon'.*did you mean 'eps'\?"),
        ({"type": "attacked", "attack": "pgd", "eps": "x"}, "condition.eps must be a finite number"),
        ({"type": "attacked", "attack": 3, "eps": 1}, "condition.attack must be text, got 3"),
        ({"type": "attacked", "attack": "pgd", "eps": 1, "norm": "l3"}, "condition: norm must be one of"),
        ({"type": "attacked", "attack": "pgd", "eps": 1, "options": [1]}, "condition.options must be a mapping"),
        ({"type": "attacked", "attack": "pgd", "eps": 1, "options": {"loss": {}}}, "condition.options.loss must be"),
        ({"type": "corrupted", "corruption": "fogg"}, r"condition: corruption must be one of .*did you mean 'fog'\?"),
        ({"type": "corrupted", "corruption": "fog", "severity": 9}, "condition: severity must be an int from 1 to 5"),
        ({"type": "corrupted", "corruption": "fog", "severity": True}, "condition.severity must be an int, got True"),
        ({"type": "in_domain", "domain": "nigt"}, r"domain must be one of .*did you mean 'night'\?"),
        ({"type": "randomized", "pipeline": "milld"}, r"pipeline must be one of .*did you mean 'mild'\?"),
        ({"type": "randomized", "pipeline": 3}, "condition.pipeline must be the name of a preset or a pipeline"),
        ({"type": "randomized", "pipeline": {"version": 2}}, "condition.pipeline: document must have the key"),
        ({"type": "then", "first": {"type": "clean"}, "second": {"type": "x"}}, "condition.second.type must be one of"),
        (
            {"type": "union", "conditions": {"type": "clean"}},
            "condition.conditions must be a list of conditions, got dict",
        ),
        ({"type": "union", "conditions": []}, "condition: conditions must hold a condition"),
        ({"type": "union", "conditions": [{"type": "clean"}, {"type": "x"}]}, r"conditions\[1\].type must be one of"),
        ({"type": "union", "conditions": [{"type": "in_domain", "domain": "nigt"}]}, r"did you mean 'night'\?"),
        ({"type": "custom", "name": "mine"}, r"condition must not be a function \(mine\)"),
        (
            {"type": "attacked", "attack": {"type": "custom", "name": "m"}, "eps": 1},
            "attack must not be a function",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_stands(document, said):
    with pytest.raises(ValueError, match=said):
        from_document(document)


def test_conditions_nested_too_deeply_are_refused():
    document = {"type": "clean"}
    for _ in range(2000):
        document = {"type": "then", "first": document, "second": {"type": "clean"}}
    with pytest.raises(ValueError, match="must be nested less deeply"):
        from_document(document)


class Own(PixelTransform):
    """A transform that no table names."""

    def apply(self, x, values):
        return x


def my_attack(estimator, norm, eps):
    return None


@pytest.mark.parametrize(
    "condition",
    [
        Custom(lambda estimator, x, y: x, "mine"),
        Attacked(my_attack, 0.5, "l2", {"how": my_attack}),
        Randomized(Pipeline([Own()]), 2),
        Then(Randomized(Pipeline([Own()])), Attacked(my_attack, 8 / 255)),
    ],
    ids=lambda condition: condition.name,
)
def test_functions_are_recorded_by_name_and_read_of_but_not_run(condition):
    document = yaml.safe_load(yaml.safe_dump(to_document(condition)))
    with pytest.raises(ValueError, match="no document can name code"):
        from_document(document)
    again = from_record(document)
    assert (type(again), again.name) == (type(condition), condition.name)


@pytest.mark.parametrize("option", [[1, 2], {"a": 1}, DOMAINS["night"](), Pipeline([Rotation(5)])])
def test_a_record_is_read_whatever_a_function_of_the_users_was_given(option):
    document = yaml.safe_load(yaml.safe_dump(to_document(Attacked(my_attack, 0.5, "l2", {"how": option}))))
    assert to_document(from_record(document)) == document


def test_what_was_recorded_by_name_refuses_to_run():
    again = from_record(to_document(Custom(lambda estimator, x, y: x, "mine")))
    with pytest.raises(ValueError, match="mine is a function of the run that was read"):
        again.function(None, None, None)


def test_orders_are_those_of_the_attack():
    assert COMPOSITE_ORDERS == ORDERS


@pytest.mark.parametrize(("eps", "said"), [(0.2, "0.2"), (0.05, "0.05"), (8 / 255, "8/255"), (51.5 / 255, "0.201961")])
def test_a_radius_is_written_as_people_write_it(eps, said):
    assert Attacked("pgd", eps).name == f"pgd linf {said}"
