"""Whether gradient attacks on an estimator can be believed."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import LossGradientsMixin
from torch import Tensor

from art_domainrand.attacks.engine.randomness import near_boundary
from art_domainrand.attacks.fgsm import FGSM
from art_domainrand.attacks.pgd import PGD
from art_domainrand.core import checks as check
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.estimators import open_estimator
from art_domainrand.estimators.explaining import explained
from art_domainrand.estimators.refused import RefusedEstimatorError, check_estimator
from art_domainrand.estimators.state import torch_models
from art_domainrand.evaluation.diagnose import findings, finite_differences
from art_domainrand.evaluation.diagnose.diagnosis import Diagnosis, Finding, Notes, Numbers
from art_domainrand.evaluation.diagnose.subject import PREDICTIONS, Subject

# Steps at the whole range of pixels, and the losses that have a go in turn: only what survives all counts.
WHOLE_RANGE_STEPS = 50
WHOLE_RANGE_LOSSES = (None, "margin")
# Where the estimator's loss is smaller than the margin by this factor, its gradient is rounding error: one minus the
# probability of the label is then below the last place of float32.
VANISHED = float(torch.finfo(torch.float32).eps)
# What estimators say that cannot differentiate their loss in x: this library, torch and ART.
WITHOUT_GRADIENT = ("differentiable in x", "does not require grad", "is `none`", "appears to not have been used")

CHECKS = (
    "clean_accuracy",
    "budget",
    "random_predictions",
    "gradient",
    "softmax_output",
    "nan_gradients",
    "zero_gradients",
    "gradient_check",
    "loss_scale",
    "fgsm_beats_pgd",
    "whole_range",
)
"""The names of all checks, in order."""


def diagnose(
    estimator: Any,
    x: Any,
    y: Any,
    *,
    norm: float | str = np.inf,
    eps: float = 8 / 255,
    max_iter: int = 20,
    batch_size: int = 32,
    seed: int | None = 0,
    name: str = "model",
) -> Diagnosis:
    """Look for the known reasons why gradient attacks find a model more robust than it is.

    The warnings of AutoAttack (Croce & Hein 2020) and the signs of masked gradients (Athalye et al. 2018, Carlini et
    al. 2019), each with its numbers and what to do: labels that are no better than guessed, a radius as large as the
    range of pixels, random predictions, no gradient, zero or NaN gradients, probabilities in place of logits, a loss
    that does not fit the scale of the logits, a gradient that is not the derivative (non-differentiable preprocessing),
    FGSM stronger than PGD, and images that survive although every pixel may change at will. One hundred to a few
    hundred images are enough.

    :param estimator: an ART classifier; one without gradients is a finding. It is left as found.
    :param x: images (N, ...), N >= 1, in the units of ``clip_values``.
    :param y: their labels: class indices (N,), or one-hot (N, K).
    :param norm: the norm of the attacks whose results are to be believed: "inf", ``np.inf`` or a real p >= 1.
    :param eps: their radius, > 0, in units of ``clip_values``.
    :param max_iter: steps of PGD, > 0.
    :param batch_size: how many images are worked on at a time.
    :param seed: an int leaves the global generators of Python, NumPy and torch untouched and repeats itself (but for
        randomness that the estimator keeps to itself); None draws starts from ``np.random``.
    :param name: the model's name in the rows of the result.
    :raises TypeError, ValueError: naming the argument, the rule and the value.
    """
    check_estimator(estimator)
    kind, refused = check.Text(type(estimator).__name__), RefusedEstimatorError.of(estimator, [ClassifierMixin])
    check.require(isinstance(estimator, ClassifierMixin), "estimator", "be an ART classifier", kind, refused)
    check.check_budget(norm, eps, 1.0)
    check.require(eps > 0, "eps", "be > 0", eps)
    check.check_counts(batch_size=batch_size, max_iter=max_iter)
    check.require(max_iter > 0, "max_iter", "be > 0", max_iter)
    check.check_device_options(seed, None, None)
    images = check.images(x, np.float32)
    check.require(len(images) > 0, "x", "hold at least one image", len(images))
    bounds = check.clip_bounds(estimator.clip_values, tuple(images.shape[1:]), images.device)
    check.check_layout(images, estimator)
    said = check.check_pixels(images, *bounds)
    if said is not None:
        warnings.warn(f"x should {said}", RuntimeWarning, stacklevel=2)
    labels = check.class_labels(y, len(images), estimator.nb_classes).cpu()
    with (
        seeded_global_rng(seed),
        explained(estimator, images),
        open_estimator(estimator) as source,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", RuntimeWarning)  # of gradients that are not finite: counted here
        subject = Subject(estimator, source, images.cpu(), labels, norm, float(eps), max_iter, batch_size, seed)
        notes = Notes(name)
        examine(subject, notes)
    order = check.norm_order(norm)
    metadata = {
        "estimator": type(estimator).__name__,
        "norm": "inf" if np.isinf(order) else order,
        "eps": float(eps),
        "max_iter": max_iter,
        "seed": seed,
    }
    return Diagnosis(tuple(notes.rows), metadata, tuple(notes.findings), tuple(notes.checks))


def examine(subject: Subject, notes: Notes) -> None:
    """Make every check that can be made."""
    numbers, finding = randomness(subject)
    varies = finding is not None
    clean = subject.correct(subject.x, varies)
    accuracy = notes.count("clean", clean)
    look_at_setting(subject, notes, accuracy, len(clean))
    notes.note("random_predictions", numbers, finding)
    reason = missing_gradient(subject)
    notes.note("gradient", {}, findings.no_gradient(reason) if reason else None)
    if reason:
        notes.skip(CHECKS[4:], "there is no gradient")
        return
    look_at_scores(subject, notes)
    vanished = look_at_slopes(subject, notes)
    compare_slopes(subject, notes)
    attack(subject, notes, clean, vanished, varies)
    reach_everything(subject, notes, clean, varies)


def look_at_setting(subject: Subject, notes: Notes, accuracy: float, images: int) -> None:
    """Whether labels, images and budget can be meant so."""
    numbers = {"clean": accuracy, "n": float(images), "classes": float(max(subject.estimator.nb_classes, 2))}
    notes.note("clean_accuracy", numbers, findings.clean_accuracy(numbers))
    clip_values = subject.estimator.clip_values
    if clip_values is None or not np.isinf(check.norm_order(subject.norm)):
        notes.skip(["budget"], "it is for L-inf and an estimator with clip_values")
        return
    low, high = (np.asarray(bound, dtype=float) for bound in clip_values)
    sizes = {"eps": subject.eps, "range": float((high - low).max())}
    notes.note("budget", sizes, findings.budget(sizes))


def randomness(subject: Subject) -> tuple[Numbers, Finding | None]:
    """Whether predictions vary: at the images, or else near the boundaries between some of them."""
    scores = subject.predictions(subject.x, PREDICTIONS)
    numbers = variation(scores)
    finding = findings.random_predictions(numbers)
    if finding is not None:
        return numbers, finding
    between = near_boundary(lambda x: subject.predictions(x)[0], subject.x, scores[0])
    if not len(between):
        return numbers, None
    there = variation(subject.predictions(between, PREDICTIONS))
    finding = findings.random_predictions(there, "points between images of different classes")
    return (numbers if finding is None else there), finding


def variation(scores: Tensor) -> dict[str, float]:
    """How much scores (times, N, K) of the same images differ."""
    classes = scores.argmax(2)
    unit = scores / scores.norm(dim=2, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
    spread = max(float((unit[i] - unit[j]).norm(dim=1).max()) for i in range(len(unit)) for j in range(i))
    return {"changed": float((classes != classes[0]).any(0).float().mean()), "spread": spread}


def missing_gradient(subject: Subject) -> str:
    """Why the estimator's loss has no gradient in x; empty if it has one."""
    if not isinstance(subject.estimator, LossGradientsMixin):
        return f"{type(subject.estimator).__name__} defines none"
    try:
        subject.evaluate(slice(0, 1), None)
    except (ValueError, RuntimeError) as error:
        if any(words in str(error) for words in WITHOUT_GRADIENT):
            return "the loss does not depend on x through autograd"
        raise
    return ""


def look_at_scores(subject: Subject, notes: Notes) -> None:
    """Check for probabilities where the loss takes logits; other frameworks' losses know which of both they take."""
    if not torch_models(subject.estimator):
        notes.skip(["softmax_output"], "the loss is not one of PyTorch, which would take logits")
        return
    scores = subject.scores()
    numbers = {"lowest": float(scores.min()), "off": float((scores.sum(1) - 1).abs().max())}
    notes.note("softmax_output", numbers, findings.softmax_output(numbers))


def look_at_slopes(subject: Subject, notes: Notes) -> Tensor:
    """Check for NaN and zeros in the gradients at the images; return where the loss has vanished beside the margin."""
    own = subject.slopes(of_margin=False)
    broken = own.infinite > 0
    numbers = {"samples": float(broken.float().mean()), "entries": float(own.infinite.mean())}
    notes.note("nan_gradients", numbers, findings.nan_gradients(numbers))
    zero = own.zeros == 1
    others = own.zeros[~zero]
    numbers = {"samples": float(zero.float().mean()), "entries": float(others.mean()) if len(others) else 0.0}
    vanished = torch.zeros_like(zero)
    if subject.has_margin:
        margin = subject.slopes(of_margin=True)
        numbers["margin_samples"] = float((margin.zeros == 1).float().mean())
        vanished = (own.length < VANISHED * margin.length) & ~broken
    notes.note("zero_gradients", numbers, findings.zero_gradients(numbers))
    return vanished


def compare_slopes(subject: Subject, notes: Notes) -> None:
    """Check the gradient against finite differences."""
    if not (subject.has_margin and torch_models(subject.estimator)):
        # Those of ART's LogisticRegression, for one, are of the logarithms of what it predicts.
        notes.skip(["gradient_check"], "the class gradients, if any, need not be those of the predicted scores")
        return
    numbers = finite_differences.measure(subject, subject.width or float(subject.x.max() - subject.x.min()))
    if numbers is None:
        notes.skip(["gradient_check"], "the scores vary even with the same seeds, or no gradient is finite")
        return
    defences = finite_differences.estimating_defences(subject.estimator)
    notes.note("gradient_check", numbers, findings.gradient_check(numbers, defences))


def attack(subject: Subject, notes: Notes, clean: Tensor, vanished: Tensor, varies: bool) -> None:
    """Compare PGD by the estimator's loss with PGD by the margin, and with FGSM."""
    n = float(len(clean))
    fgsm = FGSM(subject.estimator, norm=subject.norm, eps=subject.eps, **subject.common(varies))
    after_fgsm = clean & subject.correct(subject.attacked(fgsm), varies)
    after_own = clean & subject.correct(subject.attacked(pgd_on(subject, varies)), varies)
    accuracy_fgsm, accuracy_own = notes.count("fgsm", after_fgsm), notes.count("pgd", after_own)
    if subject.has_margin:
        after_margin = clean & subject.correct(subject.attacked(pgd_on(subject, varies, loss="margin")), varies)
        numbers = {
            "accuracy_own": accuracy_own,
            "accuracy_margin": notes.count("pgd on margin", after_margin),
            "saturated": float(vanished.float().mean()),
            "stalled": float((vanished & after_own & ~after_margin).float().mean()),
            "only_margin": float((after_own & ~after_margin).float().mean()),
            "only_own": float((after_margin & ~after_own).float().mean()),
            "n": n,
        }
        notes.note("loss_scale", numbers, findings.loss_scale(numbers))
    else:
        notes.skip(["loss_scale"], "the estimator has no class gradients")
    numbers = {
        "accuracy_fgsm": accuracy_fgsm,
        "accuracy_pgd": accuracy_own,
        "only_fgsm": float((after_own & ~after_fgsm).float().mean()),
        "only_pgd": float((after_fgsm & ~after_own).float().mean()),
        "n": n,
    }
    notes.note("fgsm_beats_pgd", numbers, findings.fgsm_beats_pgd(numbers))


def pgd_on(subject: Subject, varies: bool, **options: Any) -> PGD:
    """PGD on the subject's estimator, with steps that together reach 2.5 times as far as eps (Madry et al. 2018)."""
    settings = {"norm": subject.norm, "eps": subject.eps, "max_iter": subject.max_iter, "early_stop": True} | options
    settings["eps_step"] = 2.5 * settings["eps"] / settings["max_iter"]
    return PGD(subject.estimator, **settings, **subject.common(varies), verbose=False)


def reach_everything(subject: Subject, notes: Notes, clean: Tensor, varies: bool) -> None:
    """Attack with an L-inf ball that holds every image, in whatever norm: only what survives all losses is left."""
    if subject.width is None:
        notes.skip(["whole_range"], "the estimator has no clip_values, which say what the range is")
        return
    left = clean.clone()
    for loss in WHOLE_RANGE_LOSSES if subject.has_margin else (None,):
        if not bool(left.any()):
            break
        rest = replace(subject, x=subject.x[left], y=subject.y[left])
        pgd = pgd_on(
            rest, varies, norm=np.inf, eps=rest.width, max_iter=WHOLE_RANGE_STEPS, num_random_init=1, loss=loss
        )
        left[left.clone()] = rest.correct(rest.attacked(pgd), varies)
    numbers = {"accuracy": notes.count("whole range", left)}
    notes.note("whole_range", numbers, findings.whole_range(numbers))
