"""What another model or function of the same name is told by, before its figures are mixed with those of the first."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand.evaluation.conditions import Attacked, Clean, Custom, Then
from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.evaluation.running.evaluate import evaluate
from art_domainrand.evaluation.storage.identity import code_digests, same_answers
from art_domainrand.loading.estimator import Normalized, as_estimator

from support.evaluation_run import data


def linear(*, mean=0.5, std=0.5, sign=1.0):
    """A normalized linear network, always of the same weights."""

    class Signed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(int(np.prod(data()[0].shape[1:])), 3)

        def forward(self, x):
            return self.layer(x.flatten(1)) * sign

    torch.manual_seed(0)
    return as_estimator(Normalized(Signed(), (mean,), (std,)).eval(), data()[0].shape[1:], 3)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"mean": 0.1}, r"\.fingerprint was"),
        ({"std": 0.1}, r"\.fingerprint was"),
        ({"sign": -1.0}, " answers otherwise"),
    ],
)
def test_a_model_of_the_same_weights_that_computes_something_else_is_kept_out(other, named, tmp_path):
    """The mean and the standard deviation stand in no state dict, nor does what ``forward`` does."""
    evaluate(linear(), Clean(), data(), out=tmp_path, diagnosed=False)
    evaluate(linear(), Clean(), data(), out=tmp_path, diagnosed=False)
    with pytest.raises(EvaluationError, match=f"models.model{named}"):
        evaluate(linear(**other), Clean(), data(), out=tmp_path, diagnosed=False)


def test_a_model_that_was_in_training_is_so_afterwards():
    estimator = linear()
    estimator.model.train()
    evaluate(estimator, Clean(), data(), diagnosed=False)
    assert estimator.model.training


def dimmed(share):
    return lambda estimator, x, y: x * share


def test_a_function_of_the_same_name_that_does_something_else_is_warned_of(tmp_path):
    """Who has mended it wants to go on; who has changed it must know what the folder holds."""
    evaluate(linear(), {"dim": dimmed(0.5)}, data(), out=tmp_path, diagnosed=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(linear(), {"dim": dimmed(0.5)}, data(), out=tmp_path, diagnosed=False)
    with pytest.warns(RuntimeWarning, match="begun with another function in 'dim'"):
        evaluate(linear(), {"dim": dimmed(0.25)}, data(), out=tmp_path, diagnosed=False)


def test_code_is_told_apart_by_what_it_does():
    def plus(x, amount=1):
        return x + amount if x not in {"a", "b"} else [part + 1 for part in x]

    def minus(x, amount=1):
        return x - amount if x not in {"a", "b"} else [part + 1 for part in x]

    def more(x, amount=2):
        return x + amount if x not in {"a", "b"} else [part + 1 for part in x]

    made = [plus, minus, more, partial(plus, amount=3), partial(plus, amount=4)]
    found = code_digests({str(k): Then(Custom(one), Clean()) for k, one in enumerate(made)})
    assert len(set(found.values())) == len(made)
    assert code_digests({"0": Then(Custom(plus), Clean())}) == {"0": found["0"]}
    assert code_digests({"pgd": Attacked("pgd", 0.1), "clean": Clean()}) == {}
    assert set(code_digests({"own": Attacked(lambda estimator, norm, eps: None, 0.1)})) == {"own"}


def test_answers_are_compared_but_for_rounding():
    assert same_answers([[1.0, -200.0]], [[1.001, -200.001]])
    assert not same_answers([[1.0, -2.0]], [[1.1, -2.0]])
    assert not same_answers([[1.0, -2.0]], [[1.0]])
    assert same_answers([], [])
