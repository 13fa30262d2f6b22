"""Every warning by an estimator built to deserve it, and none for ordinary trained models."""

import json
import random
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from art.defences.preprocessor import FeatureSqueezing
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from art.estimators.classification import EnsembleClassifier, PyTorchClassifier, SklearnClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from torch import nn

import art_domainrand
from art_domainrand import PGD, DomainRandomization, diagnose
from art_domainrand.data import digits
from art_domainrand.evaluation import Check, Diagnosis, Finding
from art_domainrand.evaluation.diagnose import findings
from art_domainrand.evaluation.diagnose.diagnose import CHECKS
from art_domainrand.randomization import Brightness, GaussianNoise, Pipeline

SIZE, EPS, EPOCHS = 12, 0.1, 8
TRAIN, TEST = digits(size=SIZE)
# Eight-bit levels, as images have them: between levels rounding is right on average.
X = np.round(TEST.x[:96] * 255).astype(np.float32) / np.float32(255)
Y = TEST.y[:96]


@cache
def trained(adversarial=False):
    """A small CNN on digits, trained on clean images or on those of PGD (Madry et al. 2018); shared: do not touch."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 12, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(12, 24, 5, 2, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(216, 10),
        )
        classifier, optimizer = wrap(model), torch.optim.Adam(model.parameters(), 4e-3)
        x, y = torch.from_numpy(TRAIN.x), torch.from_numpy(TRAIN.y)
        for epoch in range(EPOCHS):
            eps = EPS * min(1, (epoch + 1) / 5)
            attack = PGD(classifier, eps=eps, eps_step=eps / 2, max_iter=4, num_random_init=1, seed=0, verbose=False)
            for rows in torch.randperm(len(x)).split(64):
                images = attack.perturb(x[rows], y[rows]) if adversarial else x[rows]
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(images), y[rows]).backward()
                optimizer.step()
    return model.eval().requires_grad_(True)


def wrap(model, loss=None, **kwargs):
    loss = nn.CrossEntropyLoss() if loss is None else loss
    options = {"clip_values": (0.0, 1.0), "device_type": "cpu"} | kwargs
    return PyTorchClassifier(model, loss, (1, SIZE, SIZE), 10, **options)


def examined(estimator, x=X, y=Y, **options):
    return diagnose(estimator, x, y, **({"eps": EPS, "batch_size": 96} | options))


class Then(nn.Module):
    """The trained model between a function of the images and one of the logits."""

    def __init__(self, before=lambda x: x, after=lambda z: z, adversarial=False):
        super().__init__()
        self.model, self.before, self.after = trained(adversarial), before, after

    def forward(self, x):
        return self.after(self.model(self.before(x)))


class Trap(nn.Module):
    """A loss with a local maximum at a quarter of eps, and the border of the class just below eps.

    The images are grey, 0.5; only their mean counts. One step of eps crosses the border, small steps stay in the trap.
    """

    def forward(self, x):
        rise = (x.mean((1, 2, 3)) - 0.5) / EPS
        other = -1 + 0.5 * torch.exp(-(((rise - 0.25) / 0.2) ** 2)) + 2 * torch.sigmoid((rise - 0.9) / 0.02)
        return torch.stack([torch.zeros_like(other), other, *[torch.full_like(other, -9)] * 8], 1)


class Squeezed(FeatureSqueezing):
    """ART's squeezing to a few levels, in NumPy, in the type of the images; its gradient is the identity."""

    def __call__(self, x, y=None):
        return super().__call__(x, y)[0].astype(x.dtype), y


GREY = np.full((32, 1, SIZE, SIZE), 0.5, np.float32)


def to_levels(levels, straight_through=False):
    def rounded(x):
        found = torch.round(x * levels) / levels
        return x + (found - x).detach() if straight_through else found

    return rounded


@pytest.mark.parametrize("adversarial", [False, True])
@pytest.mark.parametrize(("norm", "eps"), [(np.inf, EPS), (np.inf, 8 / 255), (2, 0.6), (1, 4.0)])
def test_ordinary_models_raise_no_alarm(adversarial, norm, eps):
    found = examined(wrap(trained(adversarial)), norm=norm, eps=eps)
    assert found.names == ()
    assert found.ok
    assert bool(found)
    assert {check.name for check in found.checks if check.skipped} == (set() if norm == np.inf else {"budget"})
    assert [check.name for check in found.checks] == list(CHECKS)
    assert found.rows[0].accuracy > 0.9


def test_an_ensemble_of_ordinary_models_raises_no_alarm():
    ensemble = EnsembleClassifier([wrap(trained()), wrap(trained())], channels_first=True, clip_values=(0, 1))
    assert examined(ensemble).names == ()


def test_standardisation_and_another_range_raise_no_alarm():
    undone = Then(before=lambda x: x * 0.3 + 0.1)
    assert examined(wrap(undone, preprocessing=(0.1, 0.3))).names == ()
    bytes_ = wrap(Then(before=lambda x: x / 255), clip_values=(0, 255))
    assert examined(bytes_, X * 255, eps=EPS * 255).names == ()


def test_labels_in_another_order_are_found():
    found = examined(wrap(trained()), X, (Y + 1) % 10)
    assert "clean_accuracy" in found.names
    assert "no better than guessing among 10 classes" in " ".join(str(found).split())
    for few in (1, 19):
        assert "clean_accuracy" not in examined(wrap(trained()), X[:few], (Y[:few] + 1) % 10).names


def test_a_radius_of_the_whole_range_is_found():
    found = examined(wrap(trained()), eps=8.0)
    assert "budget" in found.names
    assert "clip_values span 1" in " ".join(str(found).split())


@pytest.mark.parametrize("kind", ["dropout", "preprocessor"])
def test_random_predictions(kind):
    if kind == "dropout":
        estimator = wrap(Then(before=lambda x: nn.functional.dropout(x, 0.2, training=True)))
    else:
        pipeline = Pipeline([Brightness(), GaussianNoise()])
        estimator = wrap(trained(), preprocessing_defences=[DomainRandomization(pipeline, apply_predict=True, seed=0)])
    found = examined(estimator)
    assert found.names == ("random_predictions",)  # and held still, its gradient is the derivative
    assert found.findings[0].numbers["spread"] > 0.01
    assert "eot_samples" in found.findings[0].advice
    assert not any(check.skipped for check in found.checks)


def test_a_smoothed_classifier_is_random_and_nothing_else():
    smoothed = PyTorchRandomizedSmoothing(
        trained(), nn.CrossEntropyLoss(), (1, SIZE, SIZE), 10, clip_values=(0, 1), device_type="cpu",
        sample_size=16, alpha=0.05, scale=0.2,
    )  # fmt: skip
    assert examined(smoothed, X[:16], Y[:16]).names == ("random_predictions",)


def test_detached_input_is_no_gradient():
    for estimator in (wrap(Then(before=torch.detach)), ensemble_of(Then(before=torch.detach))):
        found = examined(estimator)
        assert found.names == ("gradient",)
        assert found.findings[0].severity == "error"
        assert "SquareAttack" in found.findings[0].advice
        assert {check.name for check in found.checks if check.skipped} == set(CHECKS[4:])


def ensemble_of(model):
    return EnsembleClassifier([wrap(model)], channels_first=True, clip_values=(0, 1))


def test_estimators_without_gradients_are_a_finding_and_linear_ones_are_fine():
    flat = TRAIN.x.reshape(len(TRAIN), -1)
    tree = SklearnClassifier(DecisionTreeClassifier(random_state=0).fit(flat, TRAIN.y), clip_values=(0, 1))
    found = examined(tree, X.reshape(96, -1))
    assert found.names == ("gradient",)
    assert "ScikitlearnDecisionTreeClassifier" in found.findings[0].message
    linear = SklearnClassifier(LogisticRegression(max_iter=200).fit(flat, TRAIN.y), clip_values=(0, 1))
    assert examined(linear, X.reshape(96, -1)).names == ()


def test_rounding_leaves_no_gradient_and_hides_it():
    found = examined(wrap(Then(before=to_levels(7))))
    assert found.names == ("zero_gradients", "gradient_check", "whole_range")
    numbers = {finding.name: finding.numbers for finding in found.findings}
    assert numbers["zero_gradients"]["samples"] == 1
    assert numbers["gradient_check"]["hidden"] > 0.8
    assert "BPDA" in found.findings[0].advice


def test_zero_entries_count_too():
    found = examined(wrap(Then(before=lambda x: torch.cat([x[..., :1, :], x[..., 1:, :].detach()], 2))))
    assert "zero_gradients" in found.names
    numbers = found.findings[0].numbers
    assert numbers["samples"] < 0.01
    assert numbers["entries"] >= 11 / 12


def test_nan_gradients():
    found = examined(wrap(Then(before=lambda x: x.square().sqrt())))  # 0 * inf at black pixels
    (finding,) = [finding for finding in found.findings if finding.name == "nan_gradients"]
    assert finding.severity == "error"
    assert finding.numbers["samples"] == 1
    assert finding.numbers["entries"] == pytest.approx((X == 0).mean(), abs=1e-6)


def test_softmax_output():
    found = examined(wrap(Then(after=lambda z: z.softmax(1))))
    assert "softmax_output" in found.names
    log_softmax = wrap(Then(after=lambda z: z.log_softmax(1)), nn.NLLLoss())
    assert examined(log_softmax).names == ()


@pytest.mark.parametrize("adversarial", [False, True])
def test_logits_too_large_for_the_loss(adversarial):
    found = examined(wrap(Then(after=lambda z: 500 * z, adversarial=adversarial)))
    assert found.names == ("zero_gradients", "loss_scale")
    numbers = found.findings[1].numbers
    assert numbers["saturated"] > 0.5
    assert numbers["accuracy_own"] > numbers["accuracy_margin"] + 0.2
    for finding in found.findings:
        assert 'loss="margin" or loss="dlr"' in finding.advice


def test_a_loss_that_does_not_fit_without_vanishing():
    """The loss looks at the label's logit only through a factor that gradients pay for: it points elsewhere."""
    found = examined(wrap(trained(), lambda z, y: nn.functional.cross_entropy(z, y) + 1e3 * z[:, 0].mean()))
    assert "loss_scale" in found.names
    assert found.findings[0].numbers["stalled"] == 0


def test_fgsm_beats_pgd():
    found = examined(wrap(Trap()), GREY, np.zeros(32, int))
    assert "fgsm_beats_pgd" in found.names
    numbers = {finding.name: finding.numbers for finding in found.findings}["fgsm_beats_pgd"]
    assert (numbers["only_fgsm"], numbers["only_pgd"]) == (1, 0)


def test_whole_range_of_a_model_that_always_answers_the_same():
    found = examined(wrap(Then(after=lambda z: z * 0.01 + torch.eye(10)[0] * 100)), X[Y == 0], Y[Y == 0])
    assert "whole_range" in found.names
    assert found.rows[-1].accuracy == 1
    assert examined(wrap(trained(), clip_values=None)).checks[-1].skipped


def test_gradients_that_are_estimates():
    defence = Squeezed(clip_values=(0, 1), bit_depth=4, apply_predict=True)
    of_defence = examined(wrap(trained(), preprocessing_defences=[defence]))
    straight = examined(wrap(Then(before=to_levels(255, straight_through=True))))
    wrong = examined(wrap(Then(before=lambda x: 2 * x - x.detach())))
    for found in (of_defence, straight, wrong):
        assert "gradient_check" in found.names
    text = {finding.name: finding for finding in of_defence.findings}["gradient_check"].message
    assert "preprocessing (Squeezed)" in text
    assert wrong.findings[0].numbers["ratio"] == pytest.approx(0.5, abs=0.02)


def test_estimator_and_generators_are_as_found():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(144), nn.Dropout(0.5), nn.Linear(144, 10)).train()
    model[1].eval()
    model(torch.from_numpy(X)).sum().backward()
    before = [p.grad.clone() for p in model.parameters()], [b.clone() for b in model.buffers()]
    modes = [m.training for m in model.modules()]
    np.random.seed(5)  # not the seed that diagnose uses inside
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    one, two = (examined(wrap(model)) for _ in range(2))
    assert one == two
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()
    assert states[2] == random.getstate()
    assert modes == [m.training for m in model.modules()]
    assert all(torch.equal(a, p.grad) for a, p in zip(before[0], model.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before[1], model.buffers(), strict=True))
    assert all(p.requires_grad for p in model.parameters())
    assert examined(wrap(model), seed=None).rows[0] == one.rows[0]


def test_labels_may_be_one_hot_and_arguments_are_checked():
    estimator = wrap(trained())
    assert examined(estimator, y=np.eye(10, dtype=np.float32)[Y]) == examined(estimator)
    for options, words in [
        ({"eps": 0.0}, "eps must be > 0, got 0"),
        ({"norm": 0.5}, "norm must"),
        ({"max_iter": 0}, "max_iter must be > 0, got 0"),
        ({"seed": -1}, "seed must"),
        ({"x": X + 2}, "clip_values"),
        ({"x": X[:0], "y": Y[:0]}, "x must hold at least one image, got 0"),
        ({"y": Y[:5]}, "y must hold one label for each of the 96"),
    ]:
        with pytest.raises(ValueError, match=words):
            examined(estimator, **options)
    with pytest.raises(TypeError, match="estimator must be an ART estimator"):
        diagnose(trained(), X, Y)
    with pytest.raises(ValueError, match="NaN for 96 of 96"):
        examined(wrap(Then(after=lambda z: z / 0 * 0)))


def test_json_and_text(tmp_path):
    found = examined(wrap(Then(after=lambda z: 500 * z)), name="scaled")
    assert Diagnosis.from_json(found.to_json()) == found
    found.save(tmp_path / "a.json")
    assert Diagnosis.load(tmp_path / "a.json") == found
    assert not found
    assert json.loads(found.to_json())["findings"][1]["name"] == "loss_scale"
    text = str(found)
    for part in ("2 findings in 11 checks on 96 images, norm inf, eps 0.1", "WARNING loss_scale", "-> Use loss="):
        assert part in text
    assert {row.model for row in found.rows} == {"scaled"}
    for broken in ("[]", "{}", '{"rows": [], "findings": [], "checks": [{"name": "a"}]}'):
        with pytest.raises(ValueError, match="must"):
            Diagnosis.from_json(broken)
    with pytest.raises(ValueError, match="severity must be one of"):
        replace(found.findings[0], severity="bad")
    with pytest.raises(ValueError, match="checks must hold each name once"):
        Diagnosis((), {}, (Finding("a", "warning", {}, "", ""),), (Check("b"),))
    with pytest.raises(ValueError, match="metadata must not use the key 'checks'"):
        Diagnosis((), {"checks": 1})


def test_small_differences_are_no_finding():
    same = {"accuracy_fgsm": 0.5, "accuracy_pgd": 0.5, "n": 100.0}
    assert findings.fgsm_beats_pgd(same | {"only_fgsm": 0.04, "only_pgd": 0.0}) is None  # one in sixteen by accident
    assert findings.fgsm_beats_pgd(same | {"only_fgsm": 0.05, "only_pgd": 0.0}) is not None
    assert findings.fgsm_beats_pgd(same | {"only_fgsm": 0.2, "only_pgd": 0.2}) is None


def test_a_vanished_gradient_counts_where_the_losses_differ_little():
    numbers = {"accuracy_own": 0.52, "accuracy_margin": 0.5, "only_margin": 0.02, "only_own": 0.0, "n": 100.0}
    assert findings.loss_scale(numbers | {"saturated": 0.1, "stalled": 0.0}) is None
    found = findings.loss_scale(numbers | {"saturated": 0.1, "stalled": 0.02})
    assert found is not None
    assert "vanishes in float32 on 10.0% of the images" in found.message


def test_where_the_loss_has_vanished_is_where_the_label_is_all_but_certain():
    """With one rival the loss's gradient is the margin's times one minus the probability of the label."""
    found = examined(wrap(Then(after=lambda z: 5 * z)))
    with torch.no_grad():
        logits = 5 * trained()(torch.from_numpy(X)).double()
    doubt = 1 - logits.softmax(1)[range(96), Y]
    (numbers,) = [check.numbers for check in found.checks if check.name == "loss_scale"]
    assert 0.1 < numbers["saturated"] < 0.9
    assert numbers["saturated"] == pytest.approx(float((doubt < 2**-23).double().mean()), abs=0.04)


def test_an_estimate_that_is_right_on_average_is_one_all_the_same():
    numbers = {"wrong": 0.0, "rough": 0.5, "hidden": 0.0}
    assert findings.gradient_check(numbers) is None
    assert findings.gradient_check(numbers, ["JpegCompression"]) is not None


def test_public_names():
    assert art_domainrand.diagnose is diagnose
    assert isinstance(examined(wrap(trained())), art_domainrand.evaluation.Diagnosis)


@pytest.mark.parametrize("around", ["alone", "in an ensemble", "behind NumPy"])
def test_the_model_is_shown_no_more_than_batch_size_images(around):
    """ART's ensemble hands its members all images at once."""
    sizes, x, y = [], X[:7], Y[:7]
    inner = Then()
    inner.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    estimator = {
        "alone": lambda: wrap(inner),
        "in an ensemble": lambda: EnsembleClassifier([wrap(inner)], channels_first=True, clip_values=(0, 1)),
        "behind NumPy": lambda: wrap(inner, preprocessing_defences=[Squeezed((0, 1), bit_depth=8)]),
    }[around]()
    one = examined(estimator, x, y, batch_size=5, max_iter=2)
    assert max(sizes) == 5
    assert [check.name for check in one.checks] == [
        check.name for check in examined(estimator, x, y, max_iter=2).checks
    ]
    sizes.clear()
    examined(estimator, x, y, batch_size=1, max_iter=1)
    assert max(sizes) == 1
