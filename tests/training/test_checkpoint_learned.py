"""A run is resumed with what was learned before it, or followed by it, and refused with anything else."""

import warnings
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
import torch

from art_domainrand import DomainAttack, DomainGenerator, DomainRandomization, PerturbationGenerator
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.randomization.domains.references import Moments
from art_domainrand.training import MetaRanges

from support.trainer import corners, trainable, trainer_of

X, Y = corners(16)


@cache
def learned(seed):
    return DomainGenerator(width=2, blocks=0).fit(X, 1 - X / 2, epochs=1, seed=seed)


def moments(scale):
    return Moments().fit(X * np.float32(scale))


@dataclass(frozen=True, eq=False)
class Faded(R.PixelTransform):
    """A user's own transform, made with a module whose words do not show its weights."""

    module: torch.nn.Module = field(default_factory=torch.nn.Identity)

    def apply(self, x, values):
        return self.module(x).detach()


def faded(seed):
    module = torch.nn.Conv2d(X.shape[1], X.shape[1], 1, groups=X.shape[1])
    torch.nn.init.constant_(module.weight, 1 - seed / 2)
    torch.nn.init.zeros_(module.bias)
    return R.Pipeline([Faded(module)])


def perturbing(classifier, seed):
    return PerturbationGenerator(classifier, eps=0.1, epochs=1, width=2, blocks=0, seed=seed).fit(X, Y)


def fit(folder, attack=None, defence=None, validation_data=None, **options):
    classifier = trainable(preprocessing_defences=defence)
    trainer = trainer_of(classifier, **({"objective": "madry", "checkpoint": folder} | options))
    if attack is not None:
        trainer.attack = attack(classifier)
    trainer.fit(X, Y, batch_size=16, nb_epochs=1, validation_data=validation_data)


def meta(seed):
    bright = R.Pipeline([R.Brightness((-0.1, 0.1))])
    return {"ranges": MetaRanges(corners(8, seed), every=4), "randomization": bright}


def meta_by_validation_data(seed):
    return meta(0) | {"ranges": "meta", "validation_data": corners(8, seed)}


CASES = {
    "randomization": lambda seed: {"randomization": R.Pipeline([learned(seed)])},
    "references": lambda seed: {"randomization": R.Pipeline([moments(1 - seed / 2)])},
    "randomization.weights": lambda seed: {"randomization": faded(seed)},
    "attack.pipeline.weights": lambda seed: {
        "attack": lambda classifier: DomainAttack(classifier, faded(seed), evaluations=4, verbose=False)
    },
    "preprocessing.weights": lambda seed: {"defence": DomainRandomization(faded(seed), seed=0, device_type="cpu")},
    "domain attack": lambda seed: {
        "attack": lambda classifier: DomainAttack(classifier, R.Pipeline([learned(seed)]), evaluations=4, verbose=False)
    },
    "defence": lambda seed: {"defence": DomainRandomization([learned(seed)], seed=0, device_type="cpu")},
    "attack.weights": lambda seed: {"attack": lambda classifier: perturbing(classifier, seed)},
    "validation_domain": meta,
    "validation_data": meta_by_validation_data,
}
NAMED = {
    "references": "randomization",
    "domain attack": "attack.*",
    "defence": "preprocessing",
    "validation_data": "validation_domain",
}


@pytest.mark.parametrize("case", CASES)
def test_other_weights_and_another_domain_are_refused(case, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of few images
        fit(tmp_path, **CASES[case](0))
        fit(tmp_path, **CASES[case](0))
        with pytest.raises(ValueError, match=rf"^{NAMED.get(case, case)} must be .*, as in the run to resume in "):
            fit(tmp_path, **CASES[case](1))


def test_a_loaded_generator_goes_on_for_the_one_that_was_saved(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of few images
        fit(tmp_path, randomization=R.Pipeline([learned(0)]))
        learned(0).save(tmp_path / "domain.pt")
        fit(tmp_path, randomization=R.Pipeline([DomainGenerator.load(tmp_path / "domain.pt")]))


@pytest.mark.parametrize("case", ["attack.weights", "validation_domain", "randomization.weights"])
def test_a_file_from_before_they_were_noted_is_resumed(case, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of few images
        fit(tmp_path, **CASES[case](0))
        for file in tmp_path.glob("*.pt"):
            state = torch.load(file, weights_only=True)
            del state["settings"][case]
            torch.save(state, file)
        fit(tmp_path, **CASES[case](0))
