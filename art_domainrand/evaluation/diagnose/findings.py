"""What the measurements of :func:`~art_domainrand.diagnose` mean: from numbers to a finding, or None.

The rules follow the flags of AutoAttack (Croce & Hein 2020; ``flags_doc.md`` and ``checks.py`` of its repository) and
the signs of gradient masking listed by Athalye et al. (ICML 2018, section 3.1), Carlini et al. ("On Evaluating
Adversarial Robustness", 2019) and Tramer et al. ("On Adaptive Attacks", 2020). All shares and
accuracies are in [0, 1].
"""

from collections.abc import Sequence

from scipy.stats import binomtest

from art_domainrand.evaluation.diagnose.diagnosis import Finding, Numbers

# Largest L2 difference between the scores of two predictions, each scaled to length one, that is still rounding
# (AutoAttack, check_randomized).
SCORES_VARY = 1e-4
# How far from one a row of probabilities may sum. AutoAttack (check_range_output) takes 1e-5, which half precision
# misses; rows of logits do not come near either, all of them non-negative at that.
SUM_SLACK = 1e-3
# AutoAttack warns at the first image without a gradient; one in a hundred keeps a single dead image from being one.
ZERO_SAMPLES = 0.01
# Some zeros are in order, where a model looks at a part of the image or has dead units; above this share an attack has
# next to nothing to move.
ZERO_ENTRIES = 0.9
# The share of images that the estimator's loss fails to break although the margin does, with a gradient that has
# vanished in float32: as above.
STALLED = 0.01
# Margin and cross-entropy differ by a point or two on adversarially trained models (.703 and .725 for ART's APGD on
# digits): far more than that is a loss that does not fit.
WEAKER_LOSS = 0.05
# More images broken by FGSM alone than by PGD alone: one in a hundred more, and no accident.
STRONGER_FGSM = 0.01
SIGNIFICANCE = 0.05
# An attack that may choose any image must win always (Athalye et al. 2018; Carlini et al. 2019); local search may
# strand on one image in a hundred.
WHOLE_RANGE = 0.01
# Kinks and curvature make a slope differ from its finite difference on few images and by little; a gradient that is
# not the derivative differs on nearly all.
WRONG_GRADIENTS = 0.25
# Fewer images than these do not tell a good model from a guess.
FEWEST_IMAGES = 20


def no_gradient(reason: str) -> Finding:
    """The finding for an estimator without a gradient."""
    return Finding(
        "gradient",
        "error",
        {},
        f"There is no loss gradient: {reason}.",
        "Gradient attacks cannot be used. If something between x and the loss is detached or not differentiable, "
        "give it a backward pass (BPDA, Athalye et al. 2018); else use black-box attacks, such as ART's SquareAttack "
        "and HopSkipJump, or transfer from a model with gradients.",
    )


def clean_accuracy(numbers: Numbers) -> Finding | None:
    """``clean``: accuracy on the images as given; ``n`` images of so many ``classes``."""
    right, images, classes = round(numbers["clean"] * numbers["n"]), int(numbers["n"]), numbers["classes"]
    better = binomtest(right, images, 1 / classes, alternative="greater").pvalue <= SIGNIFICANCE
    if better or images < FEWEST_IMAGES:
        return None
    return Finding(
        "clean_accuracy",
        "warning",
        numbers,
        f"Clean accuracy is {percent(numbers['clean'])} on {images} images, no better than guessing among "
        f"{classes:.0f} classes.",
        "Look at what the model is shown: the order of the labels, the units of x (clip_values), its layout "
        "(channels_first), the preprocessing of training; take more images. Robustness says nothing here.",
    )


def budget(numbers: Numbers) -> Finding | None:
    """``eps`` of an L-inf attack and the ``range`` of pixels."""
    if numbers["eps"] < numbers["range"]:
        return None
    return Finding(
        "budget",
        "warning",
        numbers,
        f"With eps {numbers['eps']:g} every pixel may take any value: clip_values span {numbers['range']:g}.",
        "eps is in the units of clip_values: for 8 of 255 levels and images in [0, 1] it is 8/255.",
    )


def random_predictions(numbers: Numbers, of: str = "the same images") -> Finding | None:
    """``changed``: share of images whose class was not the same in all predictions; ``spread``: of the scores."""
    if numbers["changed"] == 0 and numbers["spread"] <= SCORES_VARY:
        return None
    return Finding(
        "random_predictions",
        "warning",
        numbers,
        f"Predictions of {of} vary: {percent(numbers['changed'])} change class between calls, and the "
        f"scores by up to {numbers['spread']:.2g} of their length.",
        "Average gradients over draws, eot_samples=16 or more, and judge accuracy by several fresh predictions; an "
        "attack that stops at the first wrong answer counts luck as success.",
    )


def softmax_output(numbers: Numbers) -> Finding | None:
    """``lowest``: smallest score; ``off``: how far at most a row's sum is from one."""
    if numbers["lowest"] < 0 or numbers["off"] > SUM_SLACK:
        return None
    return Finding(
        "softmax_output",
        "warning",
        numbers,
        "The model returns probabilities (rows are non-negative and sum to one), which losses on logits, cross-entropy "
        "first, take for logits: gradients are small, and gone where the model is sure.",
        "Take the softmax out of the model; CrossEntropyLoss applies its own.",
    )


def zero_gradients(numbers: Numbers) -> Finding | None:
    """``samples``: share with no gradient at all; ``entries``: share of zeros in the others.

    ``margin_samples``, where the margin can be differentiated: the share with no gradient of that either.
    """
    if numbers["samples"] < ZERO_SAMPLES and numbers["entries"] < ZERO_ENTRIES:
        return None
    of_loss = numbers.get("margin_samples", numbers["samples"]) < numbers["samples"] / 2
    advice = (
        'The margin has a gradient there: use loss="margin" or loss="dlr".'
        if of_loss
        else "Look for rounding, thresholds or clipping inside the model and give them a backward pass (BPDA, "
        "Athalye et al. 2018), start at random points (num_random_init), or use black-box attacks."
    )
    return Finding(
        "zero_gradients",
        "warning",
        numbers,
        f"The gradient of the estimator's loss is zero on {percent(numbers['samples'])} of the images and in "
        f"{percent(numbers['entries'])} of the entries of the others: attacks stand still there.",
        advice,
    )


def nan_gradients(numbers: Numbers) -> Finding | None:
    """``samples``: share with an entry of the gradient that is not finite; ``entries``: share of such entries."""
    if numbers["samples"] == 0:
        return None
    return Finding(
        "nan_gradients",
        "error" if numbers["samples"] == 1 else "warning",
        numbers,
        f"The gradient is NaN or infinite on {percent(numbers['samples'])} of the images, in "
        f"{percent(numbers['entries'])} of all entries; attacks take NaN for zero.",
        "Look for a square root, logarithm, power or norm at zero, a division by zero, or an overflow in half "
        "precision, and keep its argument away (torch.where on the input, not on the result).",
    )


def loss_scale(numbers: Numbers) -> Finding | None:
    """How PGD on the estimator's loss compares with PGD on the margin.

    ``saturated``: share of images where the loss has vanished beside the margin; ``stalled``: of those that survive the
    loss and not the margin; ``only_margin`` and ``only_own``: broken by one of both; ``n``: number of images.
    """
    gap = numbers["only_margin"] - numbers["only_own"]
    weaker = gap >= WEAKER_LOSS and more(numbers["only_margin"], numbers["only_own"], numbers["n"])
    if numbers["stalled"] < STALLED and not weaker:
        return None
    vanished = (
        f"its gradient vanishes in float32 on {percent(numbers['saturated'])} of the images, where the margin's does "
        "not: the logits are far larger than the loss expects"
        if numbers["stalled"] >= STALLED
        else "the scale of the logits does not fit it"
    )
    return Finding(
        "loss_scale",
        "warning",
        numbers,
        f"The estimator's loss misleads PGD: accuracy {percent(numbers['accuracy_own'])} by it, "
        f"{percent(numbers['accuracy_margin'])} by the margin of the logits; {vanished}.",
        'Use loss="margin" or loss="dlr", which do not depend on the scale of the logits.',
    )


def fgsm_beats_pgd(numbers: Numbers) -> Finding | None:
    """``only_fgsm`` and ``only_pgd``: share of images broken by one of both; ``n``: number of images."""
    gap = numbers["only_fgsm"] - numbers["only_pgd"]
    if gap < STRONGER_FGSM or not more(numbers["only_fgsm"], numbers["only_pgd"], numbers["n"]):
        return None
    return Finding(
        "fgsm_beats_pgd",
        "warning",
        numbers,
        f"One large step is stronger than many small ones: FGSM leaves accuracy {percent(numbers['accuracy_fgsm'])}, "
        f"PGD {percent(numbers['accuracy_pgd'])}. The loss has local maxima close to the images (masked gradients).",
        "Use restarts (num_random_init=10), more and larger steps, another loss, and black-box attacks; do not report "
        "PGD's accuracy as robustness.",
    )


def whole_range(numbers: Numbers) -> Finding | None:
    """``accuracy``: what is left when every pixel may take any value."""
    if numbers["accuracy"] <= WHOLE_RANGE:
        return None
    return Finding(
        "whole_range",
        "warning",
        numbers,
        f"With eps the whole range of pixels, where any image may be reached, {percent(numbers['accuracy'])} of the "
        "images are still classified correctly: the gradients do not lead where the model errs.",
        "Do not trust gradient attacks alone: look for what hides the gradient (rounding, saturation, randomness, "
        "constant predictions), give it a backward pass (BPDA), and try black-box attacks.",
    )


def gradient_check(numbers: Numbers, defences: Sequence[str] = ()) -> Finding | None:
    """``wrong``: share of images where a small step changes the margin otherwise than the gradient says.

    ``rough``: share where it does so by more than a tenth. ``hidden``: share where the gradient is zero but the margin
    changes. ``defences``: the names of preprocessing defences that work in NumPy or define ``estimate_forward``,
    whose gradient may be an estimate that is right only on average.
    """
    off = max(numbers["wrong"], numbers["rough"] if defences else 0.0)
    if off + numbers["hidden"] < WRONG_GRADIENTS:
        return None
    where = f"preprocessing ({', '.join(defences)})" if defences else "something in the model"
    return Finding(
        "gradient_check",
        "warning",
        numbers,
        f"The gradient is not the derivative: finite differences disagree with it on {percent(off)} of "
        f"the images, and on {percent(numbers['hidden'])} it is zero where the scores change; {where} is not "
        "differentiable, or its gradient is an estimate.",
        "Use a differentiable version of it (a PreprocessorPyTorch, or a straight-through backward pass: BPDA, Athalye "
        "et al. 2018), compare with an attack on the model without it, and with black-box attacks.",
    )


def more(one: float, other: float, n: float) -> bool:
    """Whether of ``n`` paired samples significantly more fall to one side (exact McNemar test, one-sided)."""
    first, second = round(one * n), round(other * n)
    if first + second == 0:
        return False
    return bool(binomtest(first, first + second, alternative="greater").pvalue <= SIGNIFICANCE)


def percent(share: float) -> str:
    """A share as text."""
    return f"{100 * share:.1f}%"
