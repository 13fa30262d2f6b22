"""One call from models, conditions and data to an evaluation."""

import numpy as np
import pytest

from art_domainrand.evaluation.conditions import Attacked, Clean
from art_domainrand.evaluation.folder import load_evaluation
from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.evaluation.running.evaluate import evaluate

CONDITIONS = [Clean(), Attacked("pgd", 0.02), Attacked("pgd", 0.5)]


def test_a_run_in_a_folder_is_the_run_in_memory(classifier, images, tmp_path):
    labels = classifier.predict(images).argmax(1)  # all right before, so that some are wrong after
    in_memory = evaluate(classifier, CONDITIONS, (images, labels), diagnosed=False)
    on_disk = evaluate(classifier, CONDITIONS, (images, labels), out=tmp_path, diagnosed=False)
    again = load_evaluation(tmp_path)
    for other in (on_disk, again):
        assert other.outcomes.rows.tobytes() == in_memory.outcomes.rows.tobytes()
        assert other.conditions == in_memory.conditions
        assert len(other.samples) == len(in_memory.samples) > 0
        assert np.array_equal(other.samples[0].changed, in_memory.samples[0].changed)

    assert np.array_equal(in_memory.outcomes.right("model", "clean")[0], np.ones(len(labels), bool))
    assert again.manifest == on_disk.manifest


def test_another_evaluation_is_kept_out_of_a_folder(classifier, images, labels, tmp_path):
    evaluate(classifier, CONDITIONS, (images, labels), out=tmp_path, diagnosed=False)
    with pytest.raises(EvaluationError, match="holds another evaluation: seed was 0 and is 1"):
        evaluate(classifier, CONDITIONS, (images, labels), out=tmp_path, seed=1, diagnosed=False)
