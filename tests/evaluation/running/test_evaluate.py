"""One call from models, conditions and data to an evaluation."""

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import DomainRandomization
from art_domainrand.data import LabelledImages
from art_domainrand.evaluation import accuracy_rows, clean
from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted, Then
from art_domainrand.evaluation.folder import load_evaluation
from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.evaluation.running.evaluate import evaluate
from art_domainrand.randomization import GaussianNoise

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


def test_images_in_the_unit_range_meet_every_model_in_its_own(classifier_with, images, labels):
    """One model takes [0, 1], one [0, 255] and one has its channels last: they are the same function of an image."""

    class Other(nn.Module):
        def __init__(self, inner, change):
            super().__init__()
            self.inner, self.change = inner, change

        def forward(self, x):
            return self.inner(self.change(x))

    plain = classifier_with()
    inner = plain.model
    options = {"nb_classes": 4, "device_type": "cpu", "loss": nn.CrossEntropyLoss()}
    wide = PyTorchClassifier(Other(inner, lambda x: x / 255), input_shape=(1, 8, 8), clip_values=(0, 255), **options)
    last = PyTorchClassifier(
        Other(inner, lambda x: x.permute(0, 3, 1, 2)),
        input_shape=(8, 8, 1),
        clip_values=(0, 1),
        channels_first=False,
        **options,
    )
    data = LabelledImages(images, labels, tuple("abcd"))
    found = evaluate({"plain": plain, "wide": wide, "last": last}, {"clean": Clean()}, data, diagnosed=False)
    margins = [found.outcomes.of(name, "clean")["margin"] for name in found.models]
    assert np.allclose(margins[0], margins[1], atol=1e-4)
    assert np.allclose(margins[0], margins[2], atol=1e-6)
    assert found.outcomes.classes == ("a", "b", "c", "d")


def test_a_random_model_is_asked_ten_times_and_the_same_way_again(classifier_with, images, labels, tmp_path):
    noise = DomainRandomization([GaussianNoise((0.3, 0.5))], device_type="cpu", apply_predict=True)
    noisy = classifier_with(preprocessing_defences=[noise])
    models = {"noisy": noisy, "still": classifier_with()}
    found = evaluate(models, Clean(), (images, labels), out=tmp_path, diagnosed=False)
    assert found.manifest["predictions"] == {"noisy": 10, "still": 1}
    margins = found.outcomes.of("noisy", "clean")["margin"]
    assert margins.shape == (10, 10)
    assert (margins.std(0) > 0).all()
    again = evaluate(dict(reversed(models.items())), Clean(), (images, labels), diagnosed=False)
    assert np.array_equal(again.outcomes.of("noisy", "clean")["margin"], margins)


def test_the_first_number_of_threads_is_that_of_the_whole_run(images, labels, classifier, tmp_path):
    seen = []

    def noting(estimator, x, y):
        seen.append(torch.get_num_threads())
        if len(seen) == 1:
            raise KeyboardInterrupt
        return x

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(KeyboardInterrupt):
            evaluate(classifier, noting, (images, labels), out=tmp_path, diagnosed=False)
        torch.set_num_threads(1)
        evaluate(classifier, noting, (images, labels), out=tmp_path, diagnosed=False)
        assert seen == [2, 2]
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_choice_keeps_the_places_in_the_data(classifier, images, labels):
    found = evaluate(classifier, Clean(), (images, labels), limit=4, seed=3, diagnosed=False)
    places = found.outcomes.samples
    assert len(places) == 4
    assert places.tolist() != [0, 1, 2, 3]
    right = classifier.predict(images).argmax(1) == labels
    assert np.array_equal(found.outcomes.right("model", "clean")[0], right[places])


def test_the_size_of_a_batch_does_not_count(classifier, images, labels):
    conditions = [Clean(), Attacked("pgd", 0.05)]
    one, other = (
        evaluate(classifier, conditions, (images, labels), batch_size=size, diagnosed=False).outcomes.rows
        for size in (3, 10)
    )
    for name in ("sample", "condition", "right", "predicted"):
        assert np.array_equal(one[name], other[name])
    assert np.allclose(one["margin"], other["margin"], atol=1e-4)


@pytest.mark.parametrize(("n", "classes"), [(1, 2), (3, 3), (4, 1000)])
def test_few_images_and_many_or_few_classes(n, classes):
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, classes))
    model = PyTorchClassifier(net, nn.CrossEntropyLoss(), (1, 4, 4), classes, clip_values=(0, 1), device_type="cpu")
    x, y = np.random.default_rng(0).random((n, 1, 4, 4), dtype=np.float32), np.zeros(n, np.int64)
    found = evaluate(model, CONDITIONS, (x, y))
    assert len(found.outcomes) == 3 * n
    assert len(found.outcomes.classes) == classes
    assert found.diagnoses["model"].names != ("diagnosis",)


def test_labels_given_apart_are_the_call_of_before(classifier, images, labels):
    with pytest.warns(DeprecationWarning, match=r"write evaluate\(models, conditions, \(x, y\)\)"):
        rows = evaluate({"m": classifier}, {"clean": clean}, images, labels)
    assert rows == accuracy_rows({"m": classifier}, {"clean": clean}, images, labels)
    with pytest.raises(TypeError, match=r"write evaluate\(models, conditions, \(x, y\)\)"):
        evaluate({"m": classifier}, {"clean": Clean()}, images, labels)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": "large"}, 'batch_size must be an int >= 1 or "auto"'),
        ({"batch_size": 0}, "batch_size must be >= 1"),
        ({"limit": 0}, "limit must be None or >= 1"),
        ({"seed": -1}, "seed must be"),
        ({"verbose": 1}, "verbose must be a bool"),
        ({"device": "gpu"}, "device must be"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, words, classifier, images, labels):
    with pytest.raises(ValueError, match=words):
        evaluate(classifier, Clean(), (images, labels), **options)


def test_progress_is_shown_when_it_is_asked_for_and_nothing_else_is_said(classifier, images, labels, tmp_path, capfd):
    evaluate(classifier, CONDITIONS, (images, labels), out=tmp_path / "out", diagnosed=False)
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    evaluate(classifier, CONDITIONS, (images, labels), verbose=True, diagnosed=False)
    out, err = capfd.readouterr()
    assert out == ""
    assert "model, pgd linf" in err
    assert "2/2" in err


def test_cost_is_noted_by_model_and_condition_and_goes_on_growing(classifier, images, labels, tmp_path):
    found = evaluate(classifier, CONDITIONS, (images, labels), out=tmp_path)
    assert set(found.cost["models"]["model"]) == {"clean", f"{CONDITIONS[1].name} and 1 more radius", "diagnosis"}
    assert found.cost["seconds"] > 0
    assert found.cost["peak_bytes"] > 10**7
    (tmp_path / "blocks" / "000000.npz").unlink()
    with (tmp_path / "cost" / "0000.jsonl").open("a") as file:
        file.write('\n{"model": "mod')  # killed while it wrote
    assert evaluate(classifier, CONDITIONS, (images, labels), out=tmp_path).cost["seconds"] > found.cost["seconds"]
    assert load_evaluation(tmp_path).cost["seconds"] > found.cost["seconds"]


def test_pixels_in_another_range_than_the_models_are_refused_in_every_condition(classifier, images, labels):
    with pytest.raises(EvaluationError, match=r"x must .*255"):
        evaluate(classifier, Clean(), (images * 255, labels), diagnosed=False)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Then(Clean(), Attacked("pgd", "8/255", options={"maxiter": 3})), "did you mean 'max_iter'"),
        (Corrupted("fogg"), "did you mean 'fog'"),
    ],
)
def test_what_cannot_be_performed_is_refused_before_anything_is_written(
    condition, words, classifier, images, labels, tmp_path
):
    with pytest.raises(ValueError, match=words):
        evaluate(classifier, [Clean(), condition], (images, labels), out=tmp_path / "out", diagnosed=False)
    assert not (tmp_path / "out").exists()


def test_a_radius_may_be_written_in_255ths():
    assert Attacked("pgd", "8/255") == Attacked("pgd", 8 / 255)
    with pytest.raises(ValueError, match="eps must be a finite number"):
        Attacked("pgd", "8 / 0")


def test_more_outputs_than_classes_are_said(classifier, images, labels):
    data = LabelledImages(images.astype(np.float32), labels.astype(np.int64) % 2, ("cat", "dog"))
    with pytest.warns(UserWarning, match="cat, dog are taken as its outputs 0 to 1"):
        evaluate(classifier, Clean(), data, diagnosed=False)
