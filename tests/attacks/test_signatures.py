"""Every option is written out: what ``inspect.signature``, ``help`` and an editor show is what there is."""

import inspect
from dataclasses import fields

import pytest

from art_domainrand import (
    FGSM,
    PGD,
    AutoPGD,
    CompositeAttack,
    DomainAttack,
    MinimumNorm,
    Square,
    StrongestAttack,
    grid_attack,
    worst_of,
)
from art_domainrand.attacks.engine.config import Config
from art_domainrand.randomization import Brightness

from support.estimators import make_classifier

CLASSES = [FGSM, PGD, AutoPGD, StrongestAttack, MinimumNorm, DomainAttack, CompositeAttack]
CLASSES = [FGSM, PGD, AutoPGD, Square, StrongestAttack, DomainAttack, CompositeAttack]
# Where a class has another default than most, and why.
OWN_DEFAULTS = {
    (AutoPGD, "early_stop"),  # what fools is all it looks for
    (DomainAttack, "loss"),  # no estimator's own loss has a value for each image
    (CompositeAttack, "loss"),
    (Square, "batch_size"),  # ART's
}


def parameters(function):
    return inspect.signature(function).parameters


@pytest.mark.parametrize("function", [*CLASSES, grid_attack, worst_of])
def test_nothing_hides_behind_keywords(function):
    kinds = {p.kind for p in parameters(function).values()}
    assert kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("kind", CLASSES)
def test_parameters_are_attributes_with_the_defaults_of_the_config(kind):
    first = [Brightness((-0.1, 0.1))] if kind in (DomainAttack, CompositeAttack) else []
    attack = kind(make_classifier(), *first)
    names = [name for name in parameters(kind) if name != "estimator"]
    assert set(names) <= set(kind.attack_params)
    config = {field.name: field.default for field in fields(Config)}
    for name in names:
        default = parameters(kind)[name].default
        if name != "summary_writer" and default is not inspect.Parameter.empty:
            assert getattr(attack, name) == default
        if name in config and name != "verbose" and (kind, name) not in OWN_DEFAULTS:
            assert config[name] == default
    assert Config.of(attack).batch_size == (128 if kind is Square else 32)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not Square])
def test_a_misspelt_name_gets_the_nearest_everywhere(kind):
    first = [Brightness((-0.1, 0.1))] if kind in (DomainAttack, CompositeAttack) else []
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'batchsize'.*did you mean 'batch_size'"):
        kind(make_classifier(), *first, batchsize=3)
    with pytest.raises(ValueError, match=r"parameter must be among those of .*'memoryformat'; did you mean 'memory_f"):
        kind(make_classifier(), *first).set_params(memoryformat="channels_last")


@pytest.mark.parametrize("kind", [AutoPGD, StrongestAttack, MinimumNorm])
def test_what_another_attack_takes_is_said(kind):
    with pytest.raises(TypeError, match="FGSM and PGD take a summary_writer"):
        kind(make_classifier(), summary_writer=True)


def test_the_functions_too():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'nb_restart'.*did you mean 'nb_restarts'"):
        Square(make_classifier(), nb_restart=3)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'angels'.*did you mean 'angles'"):
        grid_attack(make_classifier(), angels=3)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'fractoin'.*did you mean 'fraction'"):
        worst_of(make_classifier(), None, None, Brightness(), fractoin=0.5)
