"""Models of any floating type, and scores in whatever a model returns: the attack is that of the bare model."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.estimators.classification import EnsembleClassifier
from torch import nn

from art_domainrand import FGSM, PGD, AutoPGD, DomainAttack, MinimumNorm, StrongestAttack, diagnose
from art_domainrand.estimators import open_estimator
from art_domainrand.evaluation import Clean, evaluate
from art_domainrand.randomization import Brightness

from support.attacks import RowWise, fooled, some_images
from support.estimators import CLASSES, cnn, make_classifier, wrap
from support.trainer import corners, trainable, trainer_of, weights

OPTIONS = {"eps": 0.1, "verbose": False, "seed": 0}
ATTACKS = {
    "FGSM": lambda e: FGSM(e, eps=0.1),
    "PGD": lambda e: PGD(e, eps_step=0.03, max_iter=4, **OPTIONS),
    "search": lambda e: PGD(
        e, eps_step=0.03, max_iter=4, num_random_init=2, loss="margin", early_stop=True, keep_best=True, **OPTIONS
    ),
    "AutoPGD": lambda e: AutoPGD(e, max_iter=6, nb_random_init=1, **OPTIONS),
    "StrongestAttack": lambda e: StrongestAttack(e, budget="quick", **OPTIONS),
    "minimum": lambda e: MinimumNorm(e, max_iter=8, verbose=False, seed=0),
    "domain": lambda e: DomainAttack(e, Brightness((-0.2, 0.2)), k=3, seed=0, verbose=False),
}


class Wrapped(nn.Module):
    def __init__(self, change, inner=None):
        super().__init__()
        self.inner, self.change = RowWise() if inner is None else inner, change

    def forward(self, x):
        return self.change(self.inner(x), x)


@dataclasses.dataclass
class Result:
    features: torch.Tensor
    scores: torch.Tensor


PLAIN = {
    "dict with logits": lambda z, x: {"features": z, "logits": z},
    "object with logits": lambda z, x: SimpleNamespace(logits=z, hidden=None),
    "tuple with images": lambda z, x: (z, x),
    "dict of one": lambda z, x: {"out": z},
    "dataclass": lambda z, x: Result(x, z),
    "squeezed": lambda z, x: z.squeeze(),
}


@pytest.mark.parametrize("n", [1, 9])
@pytest.mark.parametrize("form", PLAIN)
@pytest.mark.parametrize("attack", ATTACKS)
def test_scores_in_any_container(attack, form, n):
    x = some_images(n)
    expected = ATTACKS[attack](wrap(RowWise())).generate(x)
    assert np.array_equal(ATTACKS[attack](wrap(Wrapped(PLAIN[form]))).generate(x), expected)


class OneOutput(nn.Module):
    """One logit, with or without its axis; the same to the last bit in every batch."""

    def __init__(self, squeeze):
        super().__init__()
        self.inner, self.squeeze = RowWise(classes=1), squeeze

    def forward(self, x):
        return self.inner(x).squeeze() if self.squeeze else self.inner(x)


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.BCEWithLogitsLoss(reduction="sum")])
@pytest.mark.parametrize("attack", ATTACKS)
def test_one_output_squeezed(attack, loss):
    """Also when the search has shrunk to one sample, where the model's own answer has no axis left."""
    x = some_images(6)
    two = {"loss": loss, "nb_classes": 2}
    expected = ATTACKS[attack](wrap(OneOutput(squeeze=False), **two)).generate(x)
    squeezed = wrap(OneOutput(squeeze=True), **two)
    for batch in (x, x[:1]):
        assert np.array_equal(ATTACKS[attack](squeezed).generate(batch), expected[: len(batch)])


@pytest.mark.parametrize("squeeze", [False, True])
def test_one_output_is_two_classes_in_an_evaluation(squeeze):
    x = some_images(40)
    classifier = wrap(OneOutput(squeeze), loss=nn.BCEWithLogitsLoss(), nb_classes=2)
    y = (OneOutput(squeeze=False)(torch.from_numpy(x)).squeeze(1) > 0).long().numpy()
    assert 0 < y.mean() < 1
    for labels, accuracy in ((y, 1), (1 - y, 0)):
        (row,) = evaluate(classifier, Clean(), (x, labels), diagnosed=False).rows()
        assert row.accuracy == accuracy


UNCLEAR = {
    "two of a shape": lambda z, x: (z, z),
    "nothing": lambda z, x: None,
    "images alone": lambda z, x: (x, x),
}


@pytest.mark.parametrize("form", UNCLEAR)
def test_one_sentence_where_the_meaning_is_not_plain(form):
    x = some_images(5)
    rule = r"model must return class scores \(B, K\): alone, named logits or as the only tensor of that shape, got "
    classifier = wrap(Wrapped(UNCLEAR[form]))
    for make in ATTACKS.values():
        with pytest.raises(TypeError, match=rule):
            make(classifier).generate(x, np.arange(5) % CLASSES)
    with pytest.raises(TypeError, match=rule):
        diagnose(classifier, x, np.arange(5) % CLASSES)
    with pytest.raises(TypeError, match=rule):
        trainer_of(trainable(Wrapped(UNCLEAR[form], cnn())), objective="madry").fit(*corners(8), batch_size=8)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("attack", ATTACKS)
def test_models_of_any_type_run_in_it(attack, dtype):
    """The gradient is the model's own, so the result fools where that of the float32 model does, to rounding."""
    x, seen = some_images(20), []
    classifier, plain = make_classifier(), make_classifier()
    classifier.model.to(dtype)
    classifier.model[-1].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    y = plain.predict(x).argmax(1)
    adv, expected = (ATTACKS[attack](e).generate(x, y) for e in (classifier, plain))
    assert set(seen) == {dtype}
    assert adv.dtype == np.float32
    if attack not in ("domain", "minimum"):
        assert np.abs(adv - x).max() <= 0.1 + 1e-7
    agree = fooled(plain, adv, y) == fooled(plain, expected, y)
    # The closest example lies at the boundary of the model as it is, where rounding decides.
    least = 0.3 if attack == "minimum" else 0.8
    assert agree.mean() == 1 if dtype == torch.float64 else agree.mean() > least
    assert next(classifier.model.parameters()).dtype == dtype


def test_the_gradient_of_a_model_in_double():
    x, y = some_images(5), np.arange(5) % CLASSES
    double, plain = make_classifier(), make_classifier()
    double.model.double()
    with open_estimator(double) as source:
        labels = source.labels(torch.eye(CLASSES)[torch.from_numpy(y)])
        found = source.gradient(torch.from_numpy(x), labels, 1)
    assert found.dtype == torch.float32
    leaf = torch.from_numpy(x).double().requires_grad_()
    torch.nn.functional.cross_entropy(double.model(leaf), torch.from_numpy(y)).backward()
    assert torch.allclose(found.double(), leaf.grad, rtol=1e-5, atol=1e-8)
    step = {"eps": 0.1, "eps_step": 0.03, "max_iter": 4, "verbose": False}
    theirs = ProjectedGradientDescentPyTorch(plain, **step).generate(x, y)
    assert np.abs(PGD(double, **step).generate(x, y) - theirs).max() < 1e-5


def test_small_gradients_of_a_model_in_half_precision():
    """Every layer makes the gradient a hundred times smaller: in float16 alone none would arrive."""

    class Faint(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, CLASSES)

        def forward(self, x):
            return self.head(x.flatten(1) * 1e-4) * 1e-4

    x, y = some_images(6), np.arange(6) % CLASSES
    found = {}
    for dtype in (torch.float16, torch.float32):
        classifier = make_classifier(Faint())
        classifier.model.to(dtype)
        found[dtype] = FGSM(classifier, eps=0.1).generate(x, y) - x
    assert (np.sign(found[torch.float16]) == np.sign(found[torch.float32])).mean() > 0.95


def test_a_model_that_casts_its_own_images_gets_them_as_they_are():
    """Images cast first would lose digits that the model still uses."""

    class Casting(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = cnn().to(torch.bfloat16)
            self.seen = set()

        def forward(self, x):
            self.seen.add(x.dtype)
            return self.inner((x - 0.5).to(torch.bfloat16)).float()

    classifier = wrap(Casting())
    for make in ATTACKS.values():
        make(classifier).generate(some_images(4))
    assert classifier.model.seen == {torch.float32}


@pytest.mark.parametrize("change", ["double", "half", "dict"])
def test_art_itself_finds_the_scores_inside(change):
    """Where gradients are ART's, as in an ensemble, and where predictions are, in an evaluation."""
    x, y = some_images(6), np.arange(6) % CLASSES
    classifier = wrap(Wrapped(PLAIN["dict with logits"]) if change == "dict" else RowWise())
    if change != "dict":
        classifier.model.to({"double": torch.float64, "half": torch.float16}[change])
    ensemble, plain = (
        EnsembleClassifier([member], channels_first=True, clip_values=(0, 1))
        for member in (classifier, wrap(RowWise()))
    )
    for make in ATTACKS.values():
        found, expected = (make(e).generate(x, y) for e in (ensemble, plain))
        assert np.abs(found - expected).mean() < (0.02 if change == "half" else 1e-4)
    rows = [evaluate(e, Clean(), (x, y), diagnosed=False).rows() for e in (classifier, ensemble, plain)]
    assert rows[0] == rows[1] == rows[2]
    assert "forward" not in vars(classifier._model)


@pytest.mark.parametrize("change", ["double", "bfloat16", "dict"])
def test_the_trainer_trains_such_models(change):
    classifier = trainable(Wrapped(PLAIN["dict with logits"], cnn()) if change == "dict" else cnn())
    classifier.model.to({"double": torch.float64, "bfloat16": torch.bfloat16}.get(change, torch.float32))
    before = weights(classifier)
    trainer_of(classifier, objective="trades", seed=0).fit(*corners(64), batch_size=16, nb_epochs=2)
    after = weights(classifier)
    assert all(after[name].dtype == value.dtype for name, value in before.items())
    plain = trainable(cnn())
    trainer_of(plain, objective="trades", seed=0).fit(*corners(64), batch_size=16, nb_epochs=2)
    slack = 0.05 if change == "bfloat16" else 1e-5
    for found, expected in zip(after.values(), weights(plain).values(), strict=True):
        assert (found.float() - expected).abs().max() < slack


def test_quantized_models_are_refused_in_one_sentence():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    classifier = wrap(torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8))
    x, y = some_images(5), np.arange(5) % CLASSES
    rule = r"estimator must be differentiable in x.*of a quantized model, attack the one in floating point"
    for make in ATTACKS.values():
        with pytest.raises(ValueError, match=rule):
            make(classifier).generate(x, y)
    assert "gradient" in {finding.name for finding in diagnose(classifier, x, y).findings}
