"""Bad input raises one error that names the argument, the rule and the value."""

import re

import numpy as np
import pytest
import torch

from art_domainrand import FGSM, PGD, AutoPGD, MinimumNorm, StrongestAttack

ONE = np.ones(1)

PARAMETERS = [
    ({"norm": 0.5}, ValueError, 'norm must be "inf", np.inf or a real p >= 1, got 0.5'),
    ({"norm": "2"}, ValueError, "norm must be"),
    ({"norm": np.nan}, ValueError, "norm must be"),
    ({"eps": -0.1}, ValueError, "eps must be >= 0, got -0.1"),
    ({"eps": np.nan}, ValueError, "eps must be finite, got nan"),
    ({"eps": -ONE, "eps_step": ONE}, ValueError, "eps must be >= 0, got -1.0"),
    ({"eps": "1"}, TypeError, "must both be numbers or both be np.ndarray of numbers, got str and float"),
    ({"eps": ONE}, TypeError, "got ndarray and float"),
    ({"eps": ONE, "eps_step": np.ones(2)}, ValueError, "eps and eps_step must have the same shape"),
    ({"eps_step": 0.0}, ValueError, "eps_step must be > 0, got 0.0"),
    ({"eps_step": np.nan}, ValueError, "eps_step must be > 0, got nan"),
    ({"batch_size": 0}, ValueError, "batch_size must be >= 1, got 0"),
    ({"num_random_init": -1}, ValueError, "num_random_init must be >= 0, got -1"),
    ({"num_random_init": 1.5}, TypeError, "num_random_init must be an int, got 1.5"),
    ({"targeted": "yes"}, ValueError, "targeted must be a bool, got 'yes'"),
    ({"seed": 2**63}, ValueError, "seed must be None or an int in [0, 2^63), got 9223372036854775808"),
    ({"eps": np.array(["a"]), "eps_step": ONE}, TypeError, "both be np.ndarray of numbers"),
    ({"seed": -1}, ValueError, "seed must be None or an int in [0, 2^63), got -1"),
    ({"memory_format": "nhwc"}, ValueError, "memory_format must be None or \"channels_last\", got 'nhwc'"),
    ({"autocast": torch.int8}, ValueError, "autocast must be None, torch.bfloat16 or torch.float16, got torch.int8"),
    ({"epsilon": 0.1}, TypeError, "unexpected keyword argument 'epsilon'"),
]
PGD_ONLY = [
    ({"max_iter": -1}, ValueError, "max_iter must be >= 0, got -1"),
    ({"decay": "x"}, ValueError, "decay must be None or a number >= 0, got 'x'"),
    ({"decay": -0.1}, ValueError, "decay must be None or a number >= 0, got -0.1"),
    ({"verbose": 1}, ValueError, "verbose must be a bool, got 1"),
    ({"random_eps": "no"}, ValueError, "random_eps must be a bool"),
    (
        {"summary_writer": True, "num_random_init": 2},
        ValueError,
        "num_random_init must be 0 or 1 with a summary_writer",
    ),
]
FGSM_ONLY = [({"minimal": 1}, ValueError, "minimal must be a bool, got 1")]
CASES = [(a, *case) for a in (PGD, FGSM) for case in PARAMETERS]
CASES += [(PGD, *case) for case in PGD_ONLY] + [(FGSM, *case) for case in FGSM_ONLY]


@pytest.mark.parametrize(("attack", "kwargs", "error", "message"), CASES)
def test_parameters(classifier, attack, kwargs, error, message):
    with pytest.raises(error, match=re.escape(message)):
        attack(classifier, **kwargs)
    if "unexpected" in message or "summary_writer" in kwargs:
        return
    configured = attack(classifier)
    before = repr(configured)
    with pytest.raises(error, match=re.escape(message)):
        configured.set_params(**kwargs)
    assert repr(configured) == before, "a refused parameter must not stay"
    for name, value in kwargs.items():
        setattr(configured, name, value)
    with pytest.raises(error, match=re.escape(message)):
        configured.generate(GOOD, INDEX)


@pytest.mark.parametrize("error", [TypeError, ValueError])
def test_a_wrong_type_is_what_any_of_arts_attacks_would_raise(classifier, error):
    """ART's PGD raises TypeError, and its Auto-PGD ValueError, for the same mistake."""
    for wrong in ({"eps": "1"}, {"max_iter": 1.0}, {"batch_size": 1.0}):
        for attack in (PGD, AutoPGD):
            with pytest.raises(error, match=r"must (both )?be (numbers|a number|an int)"):
                attack(classifier, **wrong)


def test_unknown_parameter_in_set_params(classifier):
    with pytest.raises(ValueError, match="epsilon"):
        PGD(classifier).set_params(epsilon=1)


def pixels(value):
    x = np.full((10, 1, 8, 8), 0.5, dtype=np.float32)
    x[3, 0, 2, 2] = value
    return x


GOOD = pixels(0.5)
INDEX = np.zeros(10, dtype=int)
INPUTS = [
    (pixels(np.nan), INDEX, None, ValueError, "x must hold finite pixels, got nan"),
    (pixels(np.inf), INDEX, None, ValueError, "x must hold finite pixels, got inf"),
    (
        pixels(200.0),
        INDEX,
        None,
        ValueError,
        "x must lie within clip_values [0, 1], got 200 at x[3, 0, 2, 2]; divide x by 255, or set clip_values=(0, 255)",
    ),
    (
        GOOD.reshape(10, 8, 8, 1),
        INDEX,
        None,
        ValueError,
        "x must have images of shape (1, 8, 8), the estimator's input_",
    ),
    ([[1.0]], INDEX, None, TypeError, "x must be an np.ndarray or a torch.Tensor, got list"),
    (GOOD.astype(complex), INDEX, None, TypeError, "x must be boolean, integer or real, got dtype complex128"),
    (np.zeros(3), INDEX, None, ValueError, "x must have a batch axis and at least one feature axis, got shape (3,)"),
    (GOOD, INDEX + 4, None, ValueError, "y must hold class indices in [0, 4), got [4]"),
    (GOOD, INDEX - 1, None, ValueError, "y must hold class indices in [0, 4), got [-1]"),
    (GOOD, INDEX + 0.5, None, ValueError, "y must hold class indices in [0, 4), got [0.5]"),
    (GOOD, ["a"] * 10, None, TypeError, "y must hold booleans, integers or reals, got dtype <U1"),
    (GOOD, [{}] * 10, None, TypeError, "y must hold booleans, integers or reals, got dtype object"),
    (GOOD, [[1], [1, 2]] * 5, None, TypeError, "y must hold booleans, integers or reals"),
    (GOOD, INDEX[:4], None, ValueError, "y must hold one label for each of the 10 samples, got shape (4,)"),
    (GOOD, np.zeros((10, 3)), None, ValueError, "y must have shape (10,), (10, 1) or (10, 4), got shape (10, 3)"),
    (GOOD, np.zeros((10, 4)), None, ValueError, "y must hold non-negative rows of sum 1 (or class indices), got [0.0"),
    (GOOD, np.ones((10, 4)), None, ValueError, "y must hold non-negative rows of sum 1"),
    (GOOD, np.full((10, 4), [1.5, -0.5, 0, 0]), None, ValueError, "y must hold non-negative rows of sum 1"),
    (GOOD, np.full((10, 4), np.nan), None, ValueError, "y must hold non-negative rows of sum 1"),
    (GOOD, INDEX, np.ones((5, 5)), ValueError, "mask must broadcast to x (10, 1, 8, 8), got shape (5, 5)"),
    (GOOD, INDEX, -np.ones((8, 8)), ValueError, "mask must be >= 0 and not NaN, got [-1.0]"),
    (GOOD, INDEX, -np.ones((8, 8), dtype=int), ValueError, "mask must be >= 0 and not NaN, got [-1.0]"),
    (GOOD, INDEX, [[1.0]], TypeError, "mask must be an np.ndarray or a tensor, got list"),
]


@pytest.mark.parametrize("attack", [PGD, FGSM])
@pytest.mark.parametrize(("x", "y", "mask", "error", "message"), INPUTS)
def test_inputs(classifier, attack, x, y, mask, error, message):
    attack = attack(classifier)
    with pytest.raises(error, match=re.escape(message)):
        attack.generate(x, y, mask=mask)
    if isinstance(x, np.ndarray):
        message = message.replace("dtype complex", "dtype torch.complex")
        with pytest.raises(error, match=re.escape(message)):
            attack.perturb(torch.from_numpy(x), torch.from_numpy(y) if isinstance(y, np.ndarray) else y, mask)


def test_targeted_without_labels(classifier):
    with pytest.raises(ValueError, match="y must be given for a targeted attack, got None"):
        PGD(classifier, targeted=True).generate(GOOD)


@pytest.mark.parametrize("attack", [PGD, FGSM])
def test_a_bare_model_is_not_an_estimator(attack):
    with pytest.raises(TypeError, match=r"estimator must be an ART estimator \(wrap a model in .*\), got Linear"):
        attack(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("norm", ["linf", "2", 3, 0.5])
def test_a_norm_is_refused_by_the_norms_that_the_attack_has(classifier, norm):
    for attack, rule in ((StrongestAttack, '"inf", np.inf, 1 or 2'), (MinimumNorm, '"inf", np.inf, 0, 1 or 2')):
        with pytest.raises(ValueError, match=re.escape(f"norm must be {rule}, got {norm!r}")):
            attack(classifier, norm=norm)


def test_unknown_keyword_of_generate(classifier):
    with pytest.raises(TypeError, match="unexpected keyword argument 'masks'"):
        PGD(classifier).generate(GOOD, masks=None)


def test_perturb_wants_tensors(classifier):
    with pytest.raises(TypeError, match=r"x must be a torch.Tensor, got ndarray"):
        PGD(classifier).perturb(GOOD)


@pytest.mark.parametrize("norm", [1, 2])
def test_eps_per_feature_needs_linf(classifier, norm):
    eps = np.linspace(0.1, 1, 64).reshape(1, 8, 8)
    with pytest.raises(ValueError, match=r"eps must hold one value per sample, shape \(10, 1, 1, 1\), for norm"):
        PGD(classifier, norm, eps, eps, verbose=False).generate(GOOD, INDEX)


def test_eps_that_does_not_broadcast(classifier):
    with pytest.raises(ValueError, match=r"eps must broadcast to x \(10, 1, 8, 8\), got shape \(10,\)"):
        PGD(classifier, eps=np.ones(10), eps_step=np.ones(10), verbose=False).generate(GOOD, INDEX)


def test_fgsm_takes_verbose_as_the_other_attacks_do(classifier, images, labels, capsys):
    FGSM(classifier, eps=0.1, verbose=True).generate(images, labels)
    assert "FGSM" in capsys.readouterr().err
    FGSM(classifier, eps=0.1).generate(images, labels)
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match="verbose must be a bool, got 'yes'"):
        FGSM(classifier, eps=0.1, verbose="yes")
