"""ART's own tests, once with ART's attacks and once with ours in their place, and where the outcomes differ.

    python tests/compatibility/run_art_suite.py                    # downloads ART's repository, for its tests
    python tests/compatibility/run_art_suite.py --art-tests DIR    # its checkout: conftest.py, tests/ and utils/
    python tests/compatibility/run_art_suite.py tests/attacks/evasion/test_fast_gradient.py    # some modules only

Tests want MNIST: without a network real digits (scikit-learn's, enlarged to 28x28) take its place, on both sides. What
fails on both sides wants another framework, or the digits of MNIST themselves.
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.request import urlretrieve

import numpy as np
from sklearn.datasets import load_digits
from torch import from_numpy
from torch.nn.functional import interpolate

REPOSITORY = "https://github.com/Trusted-AI/adversarial-robustness-toolbox/archive/refs/tags/1.20.1.tar.gz"
MODULES = (
    *("tests/attacks/evasion/" + f"test_{name}.py" for name in (
        "fast_gradient", "momentum_iterative_method", "auto_projected_gradient_descent", "auto_attack",
        "frame_saliency",
    )),
    *("tests/attacks/" + f"test_{name}.py" for name in (
        "projected_gradient_descent", "iterative_method", "universal_perturbation", "targeted_universal_perturbation",
        "attack", "input_filter",
    )),
    "tests/estimators/certification/test_randomized_smoothing.py",
    "tests/evaluations/test_security_curve.py",
    "tests/metrics/test_metrics.py",
    "tests/defences/detector/evasion",
    "tests/test_summary_writer.py",
)  # fmt: skip

# Starts processes of its own, which have no stand-ins for absent frameworks and are started again for ever.
NOT_RUN = "tests/attacks/evasion/test_auto_attack.py::test_generate_parallel"


def art_tests(folder: Path) -> Path:
    """ART's repository, downloaded into ``folder``; its source distribution lacks conftest.py and the weights."""
    archive = folder / "art.tar.gz"
    urlretrieve(REPOSITORY, archive)
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return next(path.parent for path in folder.glob("*/conftest.py"))


def write_digits(folder: Path) -> None:
    """Real digits where ART looks for MNIST: 28x28 images of 8 bits."""
    digits = load_digits()
    small = from_numpy(digits.images).float().unsqueeze(1) / 16
    large = interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    images, labels = (large.squeeze(1) * 255).round().byte().numpy(), digits.target.astype(np.uint8)
    np.savez(
        folder / "mnist.npz", x_train=images[:1500], y_train=labels[:1500], x_test=images[1500:], y_test=labels[1500:]
    )


def outcomes(side: str, tests: Path, data: Path, modules: list[str]) -> dict[str, tuple[str, str]]:
    """Each test's outcome, and the last line of what it said."""
    report = data / f"{side}.xml"
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(here), str(here.parent.parent), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"ART_SUITE_SIDE": side, "ART_SUITE_DATA": str(data), "PYTHONPATH": path}
    command = [
        *(sys.executable, "-m", "pytest", "-p", "art_suite_plugin", "-p", "no:cacheprovider", "-p", "no:xdist"),
        *("--framework=pytorch", "--continue-on-collection-errors", "-q", "--tb=short", "-W", "ignore"),
        *(f"--deselect={NOT_RUN}", "--timeout=300"),
        *("-o", "addopts=", f"--junitxml={report}", f"--rootdir={tests}", *modules),
    ]
    with (data / f"{side}.txt").open("w") as log:
        subprocess.run(command, cwd=tests, env=env, stdout=log, stderr=subprocess.STDOUT, check=False)
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        worst = next((c for c in case if c.tag in ("failure", "error", "skipped")), None)
        said = "" if worst is None else (worst.get("message") or "").strip().splitlines()[:1]
        found[f"{case.get('classname')}::{case.get('name')}"] = (
            "passed" if worst is None else worst.tag,
            said[0] if said else "",
        )
    return found


def alike(theirs: tuple[str, str], mine: tuple[str, str]) -> bool:
    """Whether two outcomes are the same: passed, or failed at the same place, whatever the numbers."""
    return theirs[0] == mine[0] and re.sub(r"[\d.e-]+", "0", theirs[1]) == re.sub(r"[\d.e-]+", "0", mine[1])


def main() -> int:
    """Run both sides and print the table; the exit status says whether they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=list(MODULES))
    parser.add_argument("--art-tests", type=Path, help="a checkout of ART 1.20.1")
    parser.add_argument("--logs", type=Path, help="where to leave pytest's reports")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = options.logs.resolve() if options.logs else Path(scratch)
        data.mkdir(parents=True, exist_ok=True)
        write_digits(data)
        tests = options.art_tests.resolve() if options.art_tests else art_tests(Path(scratch))
        art, ours = (outcomes(side, tests, data, options.modules) for side in ("art", "ours"))
    for side, found in (("ART", art), ("ours", ours)):
        kinds = sorted({kind for kind, _ in found.values()})
        print(f"{side}: " + ", ".join(f"{sum(k == kind for k, _ in found.values())} {kind}" for kind in kinds))
    missing = ("not run", "")
    differing = [n for n in sorted(art | ours) if not alike(art.get(n, missing), ours.get(n, missing))]
    print("\n| test | ART | ours | said |\n|---|---|---|---|")
    for name in differing:
        theirs, mine = art.get(name, missing), ours.get(name, missing)
        print(f"| {name} | {theirs[0]} | {mine[0]} | {(mine[1] or theirs[1])[:160]} |")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
