"""The demo from the seed to the files."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from art_domainrand.core.checks import Text, require
from art_domainrand.core.environment import environment
from art_domainrand.core.files import check_folder
from art_domainrand.data import LabelledImages, digits
from art_domainrand.demo.recipes import EPS, HELD_OUT_DOMAIN, RECIPES, TRAINING_DOMAIN
from art_domainrand.demo.training import DEVICE, EPOCHS, private_randomness, train_all
from art_domainrand.evaluation.conditions.condition import Condition
from art_domainrand.evaluation.conditions.kinds import Attacked, Clean, Randomized, Then
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.folder import remove_evaluation
from art_domainrand.evaluation.plots import image_grid, signed_image
from art_domainrand.evaluation.results import Report
from art_domainrand.evaluation.running.attacks import make_attack
from art_domainrand.evaluation.sources.arrays import ArrayImages
from art_domainrand.evaluation.storage.manifest import read_manifest
from art_domainrand.preprocessors import DomainRandomization

ATTACK_STEPS = 20
PGD_EPS_STEP = EPS / 8
LARGEST_SEED = 2**32 - 1
SAMPLES = 10
COMMAND = "art-domainrand demo"

TITLES = {"fgsm": "FGSM", "pgd": f"PGD-{ATTACK_STEPS}", "shift_pgd": f"shift + PGD-{ATTACK_STEPS}"}
"""Headings of the conditions in the table, where they differ from the names."""

PGD_ATTACK = Attacked(
    "pgd", EPS, options={"eps_step": PGD_EPS_STEP, "max_iter": ATTACK_STEPS, "num_random_init": 1, "early_stop": False}
)
SHIFT = Randomized(HELD_OUT_DOMAIN)

JUDGED_UNDER: dict[str, Condition] = {
    "clean": Clean(),
    "fgsm": Attacked("fgsm", EPS),
    "pgd": PGD_ATTACK,
    "shift": SHIFT,
    "shift_pgd": Then(SHIFT, PGD_ATTACK),
}
"""The conditions in which each model is judged, on all test images.

- clean: the images as they are.
- fgsm, pgd: attacked within L-inf ``EPS``; PGD takes ``ATTACK_STEPS`` steps from a random start.
- shift: drawn once from ``HELD_OUT_DOMAIN``, the same images for every model.
- shift_pgd: those same shifted images, held fixed, attacked by PGD within L-inf ``EPS`` of them.

Attacks know the model and the true labels. No model randomizes at prediction, so no attack is misled by chance.
"""


def demonstrate(
    judge: Callable[..., Evaluation],
    write_page: Callable[[Evaluation, Path], object],
    out: str | Path,
    seed: int,
    *,
    verbose: bool,
) -> Report:
    """The demo, for :func:`~art_domainrand.demo.run_demo` and the command, which both bring the evaluation.

    :param judge: :func:`~art_domainrand.evaluation.evaluate`.
    :param write_page: :func:`~art_domainrand.evaluation.write_report`.
    :param out: as in ``run_demo``.
    :param seed: as in ``run_demo``.
    :param verbose: as in ``run_demo``.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed must be an int from 0 to {LARGEST_SEED}, got {seed!r}")
    folder = check_folder("out", out)
    check_own(folder)
    start = time.perf_counter()
    train_data, test_data = digits(seed=seed)
    images = ArrayImages(test_data.x, test_data.y, name="digits", classes=test_data.classes, unit=True)
    command = f"{COMMAND} --seed {seed}"
    with private_randomness(seed):
        models = train_all(RECIPES, train_data, seed, verbose=verbose)
        remove_evaluation(folder)
        evaluation = judge(models, JUDGED_UNDER, images, out=folder, seed=seed, verbose=verbose, command=command)
        save_samples(folder / "samples.png", models["standard"], test_data, seed)
        write_page(evaluation, folder)
        report = Report(evaluation.rows(), metadata(seed, time.perf_counter() - start))
    report.save(folder / "report.json")
    return report


def check_own(folder: Path) -> None:
    """Refuse a folder with an evaluation that is not a demo's."""
    manifest = read_manifest(folder)
    own = manifest is None or str(manifest.get("command")).startswith(COMMAND)
    require(own, "out", "not hold another evaluation", Text(repr(str(folder))))


def save_samples(path: Path, classifier: Any, data: LabelledImages, seed: int) -> None:
    """Draw one image of each of the first ``SAMPLES`` classes: clean, randomized, adversarial and the difference.

    Captions are what ``classifier`` says; the adversarial images are made against it.
    """
    first = np.array([np.flatnonzero(data.y == label)[0] for label in range(min(SAMPLES, len(data.classes)))])
    chosen = data[first]
    randomized, _ = DomainRandomization.for_estimator(classifier, TRAINING_DOMAIN, seed=seed)(chosen.x)
    pgd = make_attack(PGD_ATTACK, classifier, EPS, seed=seed, batch_size=SAMPLES)
    adversarial = pgd.generate(chosen.x, chosen.y)
    rows = {
        "clean": chosen.x,
        "randomized\n(training domain)": randomized,
        f"adversarial\n(PGD-{ATTACK_STEPS}, L-inf {EPS})": adversarial,
        f"difference\n(blue -{EPS}, red +{EPS})": signed_image(adversarial - chosen.x, EPS),
    }
    captions = {
        title: [f'"{data.classes[label]}"' for label in classifier.predict(images).argmax(axis=1)]
        for title, images in list(rows.items())[:3]
    }
    image_grid(path, rows, captions, title="Captions: what the standard model sees")


def metadata(seed: int, seconds: float) -> dict[str, Any]:
    """What the report says about its making."""
    return {
        "seed": seed,
        "data": "scikit-learn digits at 28x28",
        "epochs": EPOCHS,
        "norm": "inf",
        "eps": EPS,
        "pgd_steps": ATTACK_STEPS,
        "pgd_eps_step": PGD_EPS_STEP,
        "training_domain": repr(TRAINING_DOMAIN),
        "held_out_domain": repr(HELD_OUT_DOMAIN),
        "interval": "Wilson, 95%",
        "seconds": round(seconds, 1),
        **environment(DEVICE),
    }
