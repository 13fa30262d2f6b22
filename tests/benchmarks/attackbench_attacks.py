"""The attacks that AttackBench's measure compares: ours, and those of the libraries that are installed.

Attacks that look for the closest point take as many steps as there are passes. Attacks within a fixed eps are run again
and again while eps is searched for every sample; their steps are those that did best here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from art.attacks import evasion as art
from art.estimators.classification import PyTorchClassifier
from torch import Tensor

from art_domainrand import PGD, AutoPGD, StrongestAttack

from attackbench_curves import Distances, Watched, in_groups, searched

INF = float("inf")
ROUNDS = 40  # of the search for eps; passes are spent before
ART_QUIET = {"verbose": False}


@dataclass(frozen=True, eq=False)
class Setting:
    """What an attack is given.

    :param watched: The network; looking at it costs.
    :param estimator: The same as ART's.
    :param x: The samples.
    :param y: Their labels.
    :param norm: 0, 1, 2 or inf.
    :param passes: Forward, and backward, passes for each sample.
    :param first: The eps that a search begins with.
    :param seed: Of our attacks.
    """

    watched: Watched
    estimator: PyTorchClassifier
    x: Tensor
    y: Tensor
    norm: float
    passes: int
    first: float
    seed: int = 0


Run = Callable[[Setting], Any]


@dataclass(frozen=True)
class Entry:
    """An attack in the table.

    :param library: Whose it is; its import name.
    :param name: Its name there, and its settings.
    :param norms: For which it is.
    :param run: Runs it; the watch keeps what it finds, and what this returns.
    """

    library: str
    name: str
    norms: tuple[float, ...]
    run: Run


def within(attack: Callable[[Setting, Tensor, Tensor, float], Any]) -> Run:
    """An attack with one eps for all, run with the eps of each sample that a search finds."""

    def run(setting: Setting) -> None:
        def at(ids: Tensor, eps: float) -> Tensor:
            found = attack(setting, setting.x[ids], setting.y[ids], eps)
            return torch.as_tensor(found, device=setting.x.device)

        searched(in_groups(at), setting.watched, setting.first, ROUNDS)

    return run


def within_each(attack: Callable[[Setting, Tensor, Tensor, Distances], Any]) -> Run:
    """An attack that takes an eps for each sample."""

    def run(setting: Setting) -> None:
        def at(ids: Tensor, eps: Distances) -> Tensor:
            found = attack(setting, setting.x[ids], setting.y[ids], eps)
            return torch.as_tensor(found, device=setting.x.device)

        searched(at, setting.watched, setting.first, ROUNDS)

    return run


def ours(attack: Callable[..., Any], **options: Any) -> Run:
    """One of our attacks with a fixed eps."""

    def run(s: Setting, x: Tensor, y: Tensor, each: Distances) -> Any:
        eps = each.astype(np.float32).reshape(-1, 1, 1, 1)
        steps = {"eps_step": eps / 2} if attack is PGD else {}
        own = {"eps": eps, "batch_size": len(x), "verbose": False, "seed": s.seed}
        made = attack(s.estimator, norm=s.norm, **own, **steps, **options)
        return made.generate(x.numpy(), y.numpy())

    return within_each(run)


def adv_lib_targeted(classes: int, steps: int) -> Run:
    """APGD-T as adversarial-library has it, with an eps for each sample."""

    def run(s: Setting, x: Tensor, y: Tensor, each: Distances) -> Any:
        from adv_lib.attacks import apgd_targeted

        eps = torch.from_numpy(each).float()
        reps = s.norm == 1  # as the authors of APGD do in L1
        return apgd_targeted(s.watched, x, y, eps, s.norm, n_iter=steps, num_targets=classes, use_large_reps=reps)

    return within_each(run)


def closest(**options: Any) -> Run:
    """Our search for the closest points."""

    def run(s: Setting) -> Any:
        from art_domainrand import MinimumNorm

        own = {"batch_size": len(s.x), "verbose": False, "seed": s.seed}
        made = MinimumNorm(s.estimator, norm=s.norm, max_iter=s.passes, **own, **options)
        return torch.from_numpy(made.generate(s.x.numpy(), s.y.numpy()))

    return run


def art_within(attack: Any, share: float = 0.25, **options: Any) -> Run:
    """One of ART's attacks with a fixed eps, its first step a share of it."""

    def run(s: Setting, x: Tensor, y: Tensor, eps: float) -> Any:
        made = attack(
            s.estimator, norm=s.norm, eps=eps, eps_step=eps * share, batch_size=len(x), **options, **ART_QUIET
        )
        return made.generate(x.numpy(), y.numpy())

    return within(run)


def art_closest(attack: Any, **options: Any) -> Run:
    """One of ART's attacks that looks for the closest points."""

    def run(s: Setting) -> Tensor:
        made = attack(s.estimator, batch_size=len(s.x), **options, **ART_QUIET)
        return torch.from_numpy(made.generate(s.x.numpy(), s.y.numpy()))

    return run


def adv_lib(name: str, **options: Any) -> Run:
    """A function of adversarial-library; options may be made of the setting."""

    def run(s: Setting) -> Any:
        import adv_lib.attacks as library

        made = {key: value(s) if callable(value) else value for key, value in options.items()}
        return getattr(library, name)(s.watched, s.x, s.y, **made)

    return run


def named_norm(setting: Setting, eps: float = 0.0) -> str:
    return {INF: "Linf", 2: "L2", 1: "L1"}[setting.norm]


def autoattack_targeted(classes: int, steps: int) -> Run:
    """APGD-T of AutoAttack's authors."""

    def run(s: Setting, x: Tensor, y: Tensor, eps: float) -> Any:
        from autoattack.autopgd_base import APGDAttack_targeted

        made = APGDAttack_targeted(
            s.watched,
            n_iter=steps,
            n_target_classes=classes,
            norm=named_norm(s),
            eps=eps,
            seed=0,
            device="cpu",
            use_largereps=s.norm == 1,
        )
        return made.perturb(x, y)

    return within(run)


def torch_attacks(name: str, **options: Any) -> Run:
    """An attack of torchattacks with a fixed eps."""

    def run(s: Setting, x: Tensor, y: Tensor, eps: float) -> Any:
        import torchattacks

        made = {key: value(s, eps) if callable(value) else value for key, value in options.items()}
        return getattr(torchattacks, name)(s.watched, eps=eps, **made)(x, y)

    return within(run)


def torch_attacks_closest(name: str, **options: Any) -> Run:
    """An attack of torchattacks that looks for the closest points."""

    def run(s: Setting) -> Any:
        import torchattacks

        return getattr(torchattacks, name)(s.watched, **options)(s.x, s.y)

    return run


def foolbox(names: dict[float, str], **options: Any) -> Run:
    """An attack of foolbox that looks for the closest points, by its name in each norm."""

    def run(s: Setting) -> Any:
        import foolbox as library

        made = getattr(library.attacks, names[s.norm])(**options)
        return made(library.PyTorchModel(s.watched.eval(), bounds=(0, 1)), s.x, s.y, epsilons=None)[1]

    return run


def foolbox_within(names: dict[float, str], **options: Any) -> Run:
    """An attack of foolbox with a fixed eps, by its name in each norm."""

    def run(s: Setting, x: Tensor, y: Tensor, eps: float) -> Any:
        import foolbox as library

        made = getattr(library.attacks, names[s.norm])(**options)
        return made(library.PyTorchModel(s.watched.eval(), bounds=(0, 1)), x, y, epsilons=eps)[1]

    return within(run)


def passes(setting: Setting) -> int:
    return setting.passes


def norm(setting: Setting) -> float:
    return setting.norm


def eighth(setting: Setting, eps: float) -> float:
    return eps / 8


DLR = "difference_logits_ratio"
FMN = {0: "L0FMNAttack", 1: "L1FMNAttack", 2: "L2FMNAttack", INF: "LInfFMNAttack"}
BB = {
    0: "L0BrendelBethgeAttack",
    1: "L1BrendelBethgeAttack",
    2: "L2BrendelBethgeAttack",
    INF: "LinfinityBrendelBethgeAttack",
}
BIM = {1: "L1BasicIterativeAttack", 2: "L2BasicIterativeAttack", INF: "LinfBasicIterativeAttack"}
BALLS = (1, 2, INF)
COSINE = {"max_iter": 50, "step_schedule": "cosine", "loss": "margin", "early_stop": True}
SMALL_APGD = {"max_iter": 50, "nb_random_init": 1}

ENTRIES = [
    Entry("art_domainrand", "MinimumNorm", (0, 1, 2, INF), closest()),
    Entry("art_domainrand", "PGD-50, cosine, margin", BALLS, ours(PGD, **COSINE)),
    Entry("art_domainrand", "AutoPGD-50, DLR", BALLS, ours(AutoPGD, loss_type=DLR, **SMALL_APGD)),
    Entry("art_domainrand", "StrongestAttack, quick", BALLS, ours(StrongestAttack, budget="quick")),
    Entry("autoattack", "APGD-T, 9 classes of 20 steps", BALLS, autoattack_targeted(9, 20)),
    Entry("autoattack", "APGD-T, 4 classes of 25 steps", BALLS, autoattack_targeted(4, 25)),
    Entry("adv_lib", "DDN", (2,), adv_lib("ddn", steps=passes, levels=None)),
    Entry("adv_lib", "APGD-T, 9 classes of 20 steps", BALLS, adv_lib_targeted(9, 20)),
    Entry("adv_lib", "APGD-T, 4 classes of 25 steps", BALLS, adv_lib_targeted(4, 25)),
    Entry("adv_lib", "APGD-T, 3 classes of 50 steps", BALLS, adv_lib_targeted(3, 50)),
    Entry("adv_lib", "FMN", (0, 1, 2, INF), adv_lib("fmn", norm=norm, steps=passes)),
    Entry("adv_lib", "PDPGD", (1, 2, INF), adv_lib("pdpgd", norm=norm, num_steps=passes)),
    Entry("adv_lib", "PDGD", (2,), adv_lib("pdgd", num_steps=passes)),
    Entry("adv_lib", "sigma-zero", (0,), adv_lib("sigma_zero", num_steps=passes)),
    Entry("art", "PGD-50", BALLS, art_within(art.ProjectedGradientDescentPyTorch, max_iter=50)),
    Entry("art", "APGD-50, DLR", BALLS, art_within(art.AutoProjectedGradientDescent, loss_type=DLR, **SMALL_APGD)),
    Entry("art", "C&W", (2,), art_closest(art.CarliniL2Method, binary_search_steps=9, initial_const=1.0)),
    Entry("art", "DeepFool", (2,), art_closest(art.DeepFool, max_iter=100)),
    Entry("art", "EAD", (1,), art_closest(art.ElasticNet, max_iter=50, initial_const=1.0, decision_rule="L1")),
    Entry("foolbox", "BIM-50", BALLS, foolbox_within(BIM, steps=50)),
    Entry("foolbox", "DDN", (2,), foolbox({2: "DDNAttack"}, steps=1000)),
    Entry("foolbox", "FMN", (0, 1, 2, INF), foolbox(FMN, steps=1000)),
    Entry("foolbox", "EAD", (1,), foolbox({1: "EADAttack"}, steps=100, decision_rule="L1")),
    Entry("foolbox", "Brendel & Bethge", (0, 1, 2, INF), foolbox(BB)),
    Entry("torchattacks", "PGD-50", (INF,), torch_attacks("PGD", alpha=eighth, steps=50)),
    Entry("torchattacks", "APGD-50, DLR", (2, INF), torch_attacks("APGD", norm=named_norm, loss="dlr", steps=50)),
    Entry("torchattacks", "C&W", (2,), torch_attacks_closest("CW", steps=1000)),
    Entry("torchattacks", "EAD", (1,), torch_attacks_closest("EADL1", max_iterations=100)),
]
