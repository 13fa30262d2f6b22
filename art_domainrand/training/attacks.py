"""Any attack in ART's adversarial trainers, also in those that build their own."""

from __future__ import annotations

from typing import Any, TypeVar

from art.attacks.attack import EvasionAttack
from art.defences.trainer import (
    AdversarialTrainer,
    AdversarialTrainerCertifiedIBPPyTorch,
    AdversarialTrainerCertifiedPytorch,
    AdversarialTrainerFBFPyTorch,
    AdversarialTrainerMadryPGD,
    Trainer,
)

from art_domainrand.core.checks import Text, require
from art_domainrand.training.paired import COMPARING

AnyTrainer = TypeVar("AnyTrainer", bound=Trainer)


def _keep(trainer: Any, attack: EvasionAttack) -> None:
    """What becomes of the attack that ART's certified trainers make anew at every batch: nothing."""


_KEPT_ATTACK = property(lambda trainer: trainer._pinned, _keep)


class _CertifiedWithAttack(AdversarialTrainerCertifiedPytorch):
    """ART's zonotope-certified trainer with an attack of the user's."""

    attack = _KEPT_ATTACK


class _IBPWithAttack(AdversarialTrainerCertifiedIBPPyTorch):
    """ART's interval-certified trainer with an attack of the user's."""

    attack = _KEPT_ATTACK


class _FBFWithAttack(AdversarialTrainerFBFPyTorch):
    """ART's fast trainer on the images of an attack of the user's instead of its own single step."""

    _pinned: EvasionAttack
    _eps: float

    def _batch_process(self, x_batch: Any, y_batch: Any, l_r: float) -> Any:
        adversarial = self._pinned.generate(x_batch, y=y_batch)
        radius, self._eps = self._eps, 0.0  # ART's own perturbation, added in its step, then is zero
        try:
            return super()._batch_process(adversarial, y_batch, l_r)
        finally:
            self._eps = radius


_CLASS_WITH_ATTACK: dict[type, type] = {
    AdversarialTrainerCertifiedPytorch: _CertifiedWithAttack,
    AdversarialTrainerCertifiedIBPPyTorch: _IBPWithAttack,
    AdversarialTrainerFBFPyTorch: _FBFWithAttack,
}


def use_attack(trainer: AnyTrainer, attack: EvasionAttack) -> AnyTrainer:
    """Make one of ART's adversarial trainers train against ``attack``; return the same trainer.

    ``AdversarialTrainer``, TRADES, AWP and OAAT take an attack when they are made, and may change it here.
    ``AdversarialTrainerMadryPGD`` builds ART's PGD in its constructor; the certified trainers build it again at every
    batch, from ``pgd_params``, of which only ``batch_size`` then still counts; the fast trainer has a step of its own,
    whose ``eps`` no longer counts. All of them run ART's training loop otherwise unchanged. OAAT goes on setting the
    attack's ``eps``, ``eps_step`` and ``max_iter`` by its schedule, and makes its LPIPS attack itself.

    Of ART's trainers themselves: TRADES and the fast one take the first layer of an ``nn.Sequential`` for its output;
    put a module of another kind around it. ``PytorchDeepZ`` needs a ``concrete_to_zonotope`` under NumPy 2.4 if pixels
    lie nearer than ``bound`` to 0 or 1. The certified trainers preprocess once in ``fit``: for fresh draws, call it
    once an epoch.

    :param trainer: one of ART's adversarial trainers for PyTorch.
    :param attack: made for ``trainer.classifier`` (any other makes ``AdversarialTrainer`` train on transferred images);
        untargeted. Its ``batch_size`` should be no less than the trainer's.
    :raises ValueError: for a trainer without an attack, as ``DPInstaHideTrainer`` is, or made with
        ``augment_with_pgd=False`` (the default of the interval-certified one).
    """
    evasion = isinstance(attack, EvasionAttack)
    require(evasion, "attack", "be an EvasionAttack of ART", Text(type(attack).__name__))
    require(not getattr(attack, "targeted", False), "attack", "be untargeted", Text("targeted=True"))
    if isinstance(trainer, AdversarialTrainerMadryPGD):
        trainer.attack, trainer.trainer.attacks = attack, [attack]
    elif isinstance(trainer, AdversarialTrainer):
        trainer.attacks = [attack]
    elif isinstance(trainer, COMPARING):
        trainer._attack = attack
    elif type(trainer) in _CLASS_WITH_ATTACK or type(trainer) in _CLASS_WITH_ATTACK.values():
        rule = "have augment_with_pgd=True to train against an attack"
        require(getattr(trainer, "augment_with_pgd", True), "trainer", rule, False)
        trainer.__class__ = _CLASS_WITH_ATTACK.get(type(trainer), type(trainer))
        trainer._pinned = attack
    else:
        instead = "train an AdversarialTrainer(classifier, attack) instead"
        got = Text(f"{type(trainer).__name__}; {instead}")
        require(False, "trainer", "be one of ART's adversarial trainers for PyTorch", got)
    return trainer
