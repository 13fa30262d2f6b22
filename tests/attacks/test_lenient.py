"""``generate`` takes what ART's attacks take: loops over attacks pass every one the same keywords."""

import ast
import warnings
from pathlib import Path

import art.attacks.evasion
import numpy as np
import pytest

from art_domainrand import FGSM, PGD, AutoPGD, CompositeAttack, DomainAttack, MinimumNorm, StrongestAttack
from art_domainrand.attacks.engine.arguments import KNOWN_TO_ART
from art_domainrand.randomization import Brightness

ATTACKS = {
    "FGSM": lambda e: FGSM(e, eps=0.1),
    "PGD": lambda e: PGD(e, eps=0.1, eps_step=0.05, max_iter=2, verbose=False),
    "AutoPGD": lambda e: AutoPGD(e, eps=0.1, max_iter=2, nb_random_init=0, verbose=False),
    "StrongestAttack": lambda e: StrongestAttack(e, eps=0.1, budget="quick", seed=0, verbose=False),
    "MinimumNorm": lambda e: MinimumNorm(e, max_iter=8, seed=0, verbose=False),
    "DomainAttack": lambda e: DomainAttack(e, Brightness((-0.1, 0.1)), evaluations=4, seed=0, verbose=False),
    "CompositeAttack": lambda e: CompositeAttack(
        e, Brightness((-0.1, 0.1)), eps=0.1, max_iter=2, evaluations=4, seed=0, verbose=False
    ),
}


def arguments_in_art() -> set[str]:
    """What the ``generate`` of any of ART's evasion attacks takes: its arguments, and what it reads of ``kwargs``."""
    found: set[str] = set()
    for file in Path(art.attacks.evasion.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef) or node.name != "generate":
                continue
            found |= {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
            found |= {
                call.args[0].value
                for call in ast.walk(node)
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "kwargs.get"
            }
    return found - {"self", "x", "y"}


def test_the_known_keywords_are_those_of_art():
    assert set(KNOWN_TO_ART) == arguments_in_art()
    assert {"mask", "x_init", "resume", "x_adv_init"} <= set(KNOWN_TO_ART)


@pytest.mark.parametrize("name", ATTACKS)
def test_keywords_of_other_attacks_change_nothing_and_are_said_once(name, classifier, images, labels):
    plain, attack = ATTACKS[name](classifier), ATTACKS[name](classifier)
    x, y = images[:4], labels[:4]
    expected = plain.generate(x, y)
    with pytest.warns(RuntimeWarning, match=rf"resume, x_init have no effect on {name}, whose generate takes x, y"):
        adversarial = attack.generate(x, y, x_init=np.zeros_like(x), resume=True, x_adv_init=None)
    np.testing.assert_array_equal(adversarial, expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attack.generate(x, y, x_init=x, resume=True)
        attack.generate(x, y, reset_patch=None)
    with pytest.warns(RuntimeWarning, match="shuffle has no effect"):
        attack.generate(x, y, x_init=x, shuffle=False)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_keyword_that_no_attack_knows(name, classifier, images):
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'masks'; .*did you mean 'mask'\?"):
        ATTACKS[name](classifier).generate(images, masks=None)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'xinit'; .*did you mean 'x_init'\?"):
        ATTACKS[name](classifier).generate(images, xinit=images)


def test_masks_that_an_attack_on_the_domain_cannot_heed(classifier, images, labels):
    with pytest.warns(RuntimeWarning, match="mask has no effect on DomainAttack"):
        ATTACKS["DomainAttack"](classifier).generate(images, labels, mask=np.ones(images.shape))
