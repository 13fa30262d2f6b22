"""What attacks on the domain return: reproducible, readable, the same whatever the batch, and nothing left changed."""

import json
import random

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import CompositeAttack, DomainAttack, DomainRandomization, grid_attack, worst_of
from art_domainrand.attacks import Findings
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.draw_search import Cube, DrawPlan
from art_domainrand.attacks.engine.draw_stage import sloped
from art_domainrand.attacks.engine.evaluator import Evaluator, Expectation
from art_domainrand.attacks.engine.space import CountingGradients, DrawPoints, DrawSpace
from art_domainrand.core.losses import margin
from art_domainrand.estimators import open_estimator
from art_domainrand.randomization import (
    PRESETS,
    Brightness,
    Contrast,
    Flip,
    GaussianNoise,
    Kaleidoscope,
    Occlusion,
    OneOf,
    Perspective,
    Pipeline,
    RandomCorruption,
    Rotation,
    Sharpness,
    Sometimes,
    Translation,
    Wood,
)
from art_domainrand.randomization.core.coordinates import coordinates, described
from art_domainrand.randomization.core.transform import Draw

from support.estimators import CLASSES, SHAPE, cnn, make_classifier

PIPELINE = Pipeline(
    [
        Rotation((-30, 30)),
        Translation((-0.2, 0.2)),
        OneOf([Occlusion(), Sharpness()]),
        Sometimes(Contrast((0.5, 1.5))),
        GaussianNoise((0.0, 0.1)),
    ]
)
OPTIONS = {"evaluations": 40, "verbose": False, "seed": 0}


def attack(**options):
    return DomainAttack(make_classifier(), PIPELINE, **(OPTIONS | options))


@pytest.mark.parametrize("clip_values", [(0.0, 1.0), (-1.0, 2.0)])
@pytest.mark.parametrize("channels_first", [True, False])
def test_every_finding_can_be_made_again(images, clip_values, channels_first):
    low, high = clip_values
    x = low + (high - low) * images
    model: nn.Module = cnn()
    if not channels_first:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))

        class Turned(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = cnn()

            def forward(self, x):
                return self.inner(x.permute(0, 3, 1, 2))

        model = Turned()
    classifier = make_classifier(model, clip_values=clip_values, channels_first=channels_first, input_shape=x.shape[1:])
    found = DomainAttack(classifier, PIPELINE, batch_size=4, **OPTIONS).find(x)
    np.testing.assert_array_equal(found.replay(x), found.images)
    assert found.images.min() >= low
    assert found.images.max() <= high
    defence = DomainRandomization(PIPELINE, clip_values=clip_values, channels_first=channels_first, seed=5)
    with defence.replay(found.draw):
        np.testing.assert_array_equal(defence(x)[0], found.images)
    clean = classifier.predict(x).argmax(1)
    assert ((classifier.predict(found.images).argmax(1) != clean) == found.fooled).all()
    if channels_first and clip_values == (0.0, 1.0):
        plain = PIPELINE.apply(torch.from_numpy(x), found.draw).clamp(0, 1)
        np.testing.assert_array_equal(plain.numpy(), found.images)


def test_json_holds_everything_to_the_bit(images):
    found = attack().find(images)
    again = Findings.from_json(found.to_json(), images)
    np.testing.assert_array_equal(again.images, found.images)
    assert torch.equal(again.draw.u, found.draw.u)
    assert torch.equal(again.draw.seeds, found.draw.seeds)
    assert again.pipeline == PIPELINE
    assert (again.margins == found.margins).all()
    assert (again.fooled == found.fooled).all()
    assert again.evaluations == found.evaluations == 40
    assert repr(found) == f"<Findings of {len(found)} images, {found.fooled.sum()} fooled, 40 evaluations each>"
    assert json.loads(found.to_json())["parameters"][3] == found.describe(3)


def test_findings_are_told_in_physical_units_and_without_what_does_not_act():
    u = torch.tensor([[0.75, 0.5, 0.25, 0.1, 0.5, 0.5, 0.0, 1.0, 0.0, 0.5, 0.7, 0.5, 0.5]])
    assert u.shape[1] == len(PIPELINE.parameters)
    draw = Draw(u, torch.zeros(1, dtype=torch.int64))
    view = DomainRandomization(PIPELINE, seed=0)
    found = Findings(None, draw, None, None, view, 0, 0)
    assert found.describe(0) == {
        "0 Rotation angle": "15 degrees",
        "1 Translation x": "0 share of the width",
        "1 Translation y": "-0.05 share of the height",
        "2 OneOf selector": "Occlusion",
        "2.0 Occlusion width": "0.25 share",
        "2.0 Occlusion height": "0.25 share",
        "2.0 Occlusion x": "0 share",
        "2.0 Occlusion y": "1 share",
        "2.0 Occlusion fill": "0 intensity",
        "3 Sometimes gate": "not applied",
        "4 GaussianNoise std": "0.05 intensity",
    }
    np.testing.assert_allclose(found.values()["0.angle"], 15)
    pipeline = Pipeline([Flip(0.5, 0.5), RandomCorruption(("fog", "contrast"), 2)])
    other = Draw(torch.tensor([[0.4, 0.6, 0.6, 0.5]]), draw.seeds)
    assert Findings(None, other, None, None, DomainRandomization(pipeline, seed=0), 0, 0).describe(0) == {
        "0 Flip horizontal": "flipped",
        "0 Flip vertical": "not flipped",
        "1 RandomCorruption name": "contrast",
        "1 RandomCorruption severity": "2",
    }
    corners = Findings(
        None, Draw(torch.full((1, 8), 0.5), draw.seeds), None, None, DomainRandomization(Perspective()), 0, 0
    )
    assert corners.describe(0)["0 Perspective top left x"] == "0.125 share of half the image"


def test_the_points_of_a_field_are_told_as_one():
    pipeline = Pipeline([Rotation((-30, 30)), Wood(nodes=4), Kaleidoscope(shapes=10)])
    u = pipeline.sample(1, torch.Generator().manual_seed(0)).u
    found = Findings(None, Draw(u, torch.zeros(1, dtype=torch.int64)), None, None, DomainRandomization(pipeline), 0, 0)
    said, bend = found.describe(0), [float(v[0]) for name, v in found.values().items() if name.startswith("1.bend")]
    rms = np.sqrt(np.mean(np.square(bend)))
    assert said["1 Wood bend (16)"] == f"from {min(bend):.4g} to {max(bend):.4g}, rms {rms:.2g}"
    assert said.keys() >= {"0 Rotation angle", "2 Kaleidoscope edge", "2 Kaleidoscope edge (10)"}
    assert len(said) == 12  # one, four and seven
    few = Pipeline(Wood(nodes=3))
    assert len(described(few.chain, few.sample(1).u[0])) == len(few.parameters)  # nine points: one by one


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_told(name):
    pipeline = PRESETS[name]
    u = pipeline.sample(3, torch.Generator().manual_seed(0)).u
    for coordinate, column in zip(coordinates(pipeline.chain), u.unbind(1), strict=True):
        assert coordinate.text(column[:1])
        assert coordinate.acts(u).shape == (3,)


def test_what_has_no_slope_is_told_from_what_has():
    pipeline = Pipeline(
        [Sometimes(Rotation()), Flip(), OneOf([Brightness(), Contrast()]), RandomCorruption(("fog", "contrast"))]
    )
    found = dict(zip(pipeline.parameters, sloped(DomainRandomization(pipeline), (3, 32, 32)).tolist(), strict=True))
    assert [name for name, slope in found.items() if slope] == ["0.0.angle", "2.0.shift", "2.1.factor"]


def test_the_gradient_in_the_draw_is_that_of_finite_differences():
    pipeline = Pipeline([Rotation((-30, 30)), Translation(), Perspective(), Contrast(), Brightness()])
    classifier = make_classifier()
    classifier.model.double()
    view = DomainRandomization(pipeline, clip=None, seed=0)
    generator = torch.Generator().manual_seed(0)
    # A smooth image: between pixels the slope of a bilinear sampling jumps.
    lattice = torch.linspace(-1, 1, 8, dtype=torch.float64)
    x = (0.5 + 0.3 * lattice[None, None, :, None] * torch.ones(3, 1, 8, 8, dtype=torch.float64)).requires_grad_(False)
    draw = pipeline.sample(3, generator)
    point = DrawPoints(draw.u.double(), draw.seeds)
    y = torch.nn.functional.one_hot(torch.tensor([0, 1, 2]), CLASSES).float()

    def value(u):
        with torch.no_grad():
            return margin(classifier.model(view.randomize(x, Draw(u, draw.seeds))), y.argmax(1))

    with open_estimator(classifier) as source:
        evaluator = Evaluator(source, Criterion(y, 1, "margin"), Expectation(), torch.arange(3), random=False)
        _, gradient = DrawSpace(x, view.randomize, None, evaluator).evaluate(point, torch.arange(3))
        slope = gradient.u
        step = 1e-7
        for column in range(point.u.shape[1]):
            shift = torch.zeros_like(point.u)
            shift[:, column] = step
            numeric = (value(point.u + shift) - value(point.u - shift)) / (2 * step)
            torch.testing.assert_close(slope[:, column], numeric, rtol=1e-4, atol=1e-5)
    assert (slope != 0).all()


def test_the_count_is_that_of_the_model(images):
    classifier = make_classifier()
    with open_estimator(classifier) as source:
        counting = CountingGradients(source)
        counting.scores(torch.from_numpy(images))
        counting.evaluate(torch.from_numpy(images), counting.labels(np.eye(4, dtype=np.float32)[[0] * 10]), 1)
    assert (counting.forwards, counting.backwards) == (20, 10)


@pytest.mark.parametrize("climbs", [True, False])
@pytest.mark.parametrize("tries", [True, False])
def test_plans_spend_what_there_is(climbs, tries):
    for evaluations in range(1, 60):
        for k in {1, (evaluations + 1) // 2, evaluations}:
            plan = DrawPlan.of(evaluations, k, climbs=climbs, tries=tries)
            each = plan.steps * (2 * climbs + tries) + climbs * (plan.steps > 0)
            assert plan.starts >= max(k, plan.runs)
            assert plan.starts + plan.runs * each == evaluations


def test_the_cube_is_that_of_the_draws():
    keys = torch.arange(20000)
    for fraction in (1.0, 0.3):
        cube = Cube.of(fraction)
        u = cube.uniform(keys, 3)
        assert u.min() >= max(0.5 - fraction / 2, 2.0**-24)
        assert u.max() <= min(0.5 + fraction / 2, 1 - 2.0**-24)
        assert (u.mean(0) - 0.5).abs().max() < 0.01
        assert (u.var(0) * 12 / fraction**2 - 1).abs().max() < 0.05


class Elementwise(nn.Module):
    """A model whose bits do not depend on the batch, as those of a library's convolutions and matrix products may."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(CLASSES, *SHAPE))

    def forward(self, x):
        return (torch.tanh(3 * x.unsqueeze(1) * self.weight)).flatten(2).sum(2)


@pytest.mark.parametrize("early_stop", [True, False])
def test_results_do_not_depend_on_the_batch(images, early_stop):
    classifier = make_classifier(Elementwise())
    y = classifier.predict(images).argmax(1)
    options = OPTIONS | {"early_stop": early_stop}
    whole = DomainAttack(classifier, PIPELINE, batch_size=10, **options).find(images, y)
    for size in (1, 4):
        parts = DomainAttack(classifier, PIPELINE, batch_size=size, **options).find(images, y)
        torch.testing.assert_close(parts.draw.u, whole.draw.u, atol=1e-5, rtol=0)
        assert torch.equal(parts.draw.seeds, whole.draw.seeds)


def test_a_seed_makes_it_repeat(images):
    first, second = attack(), attack()
    one, two = first.find(images), second.find(images)
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(first.find(images).images, one.images)
    np.random.seed(3)
    unseeded = attack(seed=None).find(images).images
    np.random.seed(3)
    np.testing.assert_array_equal(attack(seed=None).find(images).images, unseeded)


@pytest.mark.parametrize("kind", [DomainAttack, CompositeAttack])
def test_nothing_is_left_changed(images, kind):
    model = nn.Sequential(nn.BatchNorm2d(1), cnn(), nn.Dropout(0.5))
    classifier = make_classifier(model)
    model.train()
    model[0].eval()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    python, torchs, numpys = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].copy()
    x = images.copy()
    kind(classifier, PIPELINE, **OPTIONS).find(x)
    np.testing.assert_array_equal(x, images)
    assert model.training
    assert not model[0].training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters())
    assert python == random.getstate()
    assert torch.equal(torchs, torch.get_rng_state())
    assert (numpys == np.random.get_state()[1]).all()


def test_tensors_give_tensors(images):
    found, tensors = attack().find(images), attack().find(torch.from_numpy(images))
    assert isinstance(tensors.images, torch.Tensor)
    assert isinstance(tensors.fooled, torch.Tensor)
    np.testing.assert_array_equal(tensors.images.numpy(), found.images)
    assert isinstance(attack().generate(torch.from_numpy(images)), np.ndarray)
    assert isinstance(worst_of(make_classifier(), torch.from_numpy(images), None, PIPELINE, 2).images, torch.Tensor)


def test_no_images_are_no_trouble(images):
    for found in (attack().find(images[:0]), CompositeAttack(make_classifier(), PIPELINE, **OPTIONS).find(images[:0])):
        assert len(found) == 0
        assert found.images.shape == (0, *SHAPE)
        assert found.evaluations == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fraction": 0}, r"fraction must be a number in \(0, 1\], got 0"),
        ({"fraction": 1.5}, "fraction must be .* got 1.5"),
        ({"k": 0}, "k must be from 1 to evaluations=40, got 0"),
        ({"k": 41}, "k must be from 1 to evaluations=40, got 41"),
        ({"evaluations": 0}, "evaluations must be >= 1, got 0"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"loss": "hinge"}, "loss must be None, one of"),
        ({"seed": -1}, "seed must be None or an int"),
        ({"points": np.zeros((3, 2))}, r"points must have shape \(k, 13\), got shape \(3, 2\)"),
        ({"points": np.full((3, 13), 2.0)}, r"points must lie in \[0, 1\]"),
    ],
)
def test_wrong_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        attack(**wrong)
    fine = attack()
    before = {name: getattr(fine, name) for name in wrong}
    with pytest.raises(ValueError, match=message):
        fine.set_params(**wrong)
    assert {name: getattr(fine, name) for name in wrong} == before


def test_wrong_inputs(images):
    with pytest.raises(TypeError, match="unexpected keyword argument 'eps'"):
        attack(eps=0.3)
    with pytest.raises(TypeError, match="must be an ART estimator"):
        DomainAttack(cnn(), PIPELINE)
    with pytest.raises(ValueError, match="x must be images"):
        attack().find(images.reshape(10, -1))
    with pytest.raises(ValueError, match="y must hold one label"):
        attack().find(images, [0, 1])
    with pytest.raises(ValueError, match="y must be given for a targeted attack"):
        attack(targeted=True).find(images)
    with pytest.raises(ValueError, match=r"lie within clip_values.*divide x by 255"):
        attack().find(images * 255)
    with pytest.raises(ValueError, match="RGB"):
        DomainAttack(make_classifier(), PRESETS["photometric"], **OPTIONS).find(images)
    with pytest.raises(ValueError, match="k must be >= 1, got 0"):
        worst_of(make_classifier(), images, None, PIPELINE, 0)
    with pytest.raises(ValueError, match="angles and shifts must be >= 1, got 0"):
        grid_attack(make_classifier(), angles=0)
    bare = PyTorchClassifier(cnn(), nn.CrossEntropyLoss(), SHAPE, CLASSES, device_type="cpu")
    with pytest.raises(ValueError, match="estimator must have clip_values"):
        DomainAttack(bare, PIPELINE, **OPTIONS).find(images)
