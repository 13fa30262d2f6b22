"""The common corruptions of a table beside the report of the suite itself."""

import numpy as np
import pytest

from art_domainrand.evaluation import evaluate_corruptions
from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted
from art_domainrand.evaluation.summary import corruption_report
from art_domainrand.randomization import CorruptionSuite

from support.summary import share, tabled

CASES = [("fog", 1), ("fog", 5), ("contrast", 3), ("saturate", 2)]


def test_the_report_is_the_suites():
    """Two models that look at brightness alone, judged by the suite; the table holds what they got right."""
    x = np.random.default_rng(0).random((24, 3, 16, 16), dtype=np.float32)
    y = (x.mean((1, 2, 3)) > 0.5).astype(np.int64)
    suite = CorruptionSuite(names=("fog", "contrast", "saturate"), severities=(1, 3), seed=1)

    def model(bound):
        return lambda images: np.stack([bound - images.mean((1, 2, 3)), images.mean((1, 2, 3)) - bound], axis=1)

    models = {"a": model(0.52), "b": model(0.6)}
    wanted = {name: evaluate_corruptions(scores, x, y, suite, name=name) for name, scores in models.items()}
    judged = {}
    for name, scores in models.items():
        judged[name] = {Clean(): scores(x).argmax(1) == y}
        for corruption, severity, images in suite.corrupted(x):
            judged[name][Corrupted(corruption, severity)] = scores(images).argmax(1) == y
    evaluation = tabled(judged)
    for name, report in wanted.items():
        assert corruption_report(evaluation, name).rows == report.rows
    a, b = (corruption_report(evaluation, name) for name in models)
    assert a.mean_error(b) == wanted["a"].mean_error(wanted["b"])
    assert a.errors(b, relative=True) == wanted["a"].errors(wanted["b"], relative=True)
    assert a.mean_error(b) != a.mean_error()


def test_errors_by_hand():
    """Errors .2 and .6 in fog, .3 in contrast; saturate is not among the fifteen."""
    right = [90, 80, 40, 70, 10]
    kinds = [Clean(), *(Corrupted(*case) for case in CASES)]
    evaluation = tabled({"m": {one: share(n, 100) for one, n in zip(kinds, right, strict=True)}})
    report = corruption_report(evaluation, "m")
    assert report.errors() == pytest.approx({"fog": 0.4, "contrast": 0.3, "saturate": 0.9})
    assert report.mean_error() == pytest.approx(0.35)
    assert report.mean_error(extra=True) == pytest.approx(1.6 / 3)


@pytest.mark.parametrize("kinds", [[Clean(), Attacked("pgd", 0.1)], [Corrupted("fog", 1)]])
def test_without_corruptions_or_clean_images_there_is_no_report(kinds):
    evaluation = tabled({"m": {one: share(1, 2) for one in kinds}})
    with pytest.raises(ValueError, match="evaluation must hold the clean images and corrupted ones"):
        corruption_report(evaluation, "m")
