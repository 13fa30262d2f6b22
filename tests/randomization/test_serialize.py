"""Documents: what is written is read back as the same pipeline, and a wrong document is refused at its place."""

import json
import math
import pickle
from contextlib import suppress

import kornia.augmentation as K  # noqa: N812
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from art_domainrand.randomization import (
    DOMAINS,
    TRANSFORMS,
    Beta,
    Brightness,
    Choice,
    Constant,
    GaussianNoise,
    KorniaAugmentation,
    LogUniform,
    Normal,
    OnChannels,
    OneOf,
    Pipeline,
    Rotation,
    Sometimes,
    TruncatedNormal,
    Uniform,
)
from art_domainrand.randomization.domains import Reinhard
from art_domainrand.randomization.serialize import (
    from_dict,
    from_json,
    from_yaml,
    load_pipeline,
    save_pipeline,
    to_dict,
    to_json,
    to_yaml,
)

ROUND_TRIPS = {
    "dict": lambda pipeline: from_dict(to_dict(pipeline)),
    "json": lambda pipeline: from_json(to_json(pipeline)),
    "yaml": lambda pipeline: from_yaml(to_yaml(pipeline)),
}
DISTRIBUTIONS = [
    Constant(0.1),
    Uniform(-0.1, 1 / 3),
    LogUniform(1e-5, 4e7),
    Normal(-0.25, 0.0),
    TruncatedNormal(0.0, 2.0, -1.0, 0.3),
    Beta(0.1, 3.0, 0.5, 7.0, log=True),
    Choice((0.1, -2.0, 3.0)),
    Choice((1.0, 2.0), (0.25, 3.0)),
]


def assert_comes_back(pipeline):
    for name, through in ROUND_TRIPS.items():
        again = through(pipeline)
        assert again == pipeline, name
        assert list(again.parameters.items()) == list(pipeline.parameters.items()), name


def plain(value):
    """Whether a document holds nothing but what JSON knows."""
    if isinstance(value, dict):
        return all(type(key) is str and plain(part) for key, part in value.items())
    if type(value) is list:
        return all(map(plain, value))
    return value is None or type(value) in (bool, int, float, str)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_comes_back(name):
    pipeline = Pipeline(TRANSFORMS[name]())
    assert to_dict(pipeline)["transforms"][0]["type"] == name
    assert plain(to_dict(pipeline))
    assert_comes_back(pipeline)


@pytest.mark.parametrize("name", DOMAINS)
def test_every_domain_comes_back(name):
    pipeline = Pipeline(DOMAINS[name]().at(Uniform(2, 4)))
    assert to_dict(pipeline)["transforms"][0]["type"] == f"domain.{name}"
    assert_comes_back(pipeline)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda d: type(d).__name__)
def test_every_distribution_comes_back(distribution):
    assert_comes_back(Pipeline(Brightness(distribution)))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_arguments_other_than_the_defaults_come_back(name):
    """Every range narrowed to its middle, so that a reader that fell back on defaults would be found out."""
    default = TRANSFORMS[name]()
    ranges = {key: value.support for key, value in vars(default).items() if isinstance(value, (Uniform, LogUniform))}
    if not ranges:
        pytest.skip("no range")
    changed = TRANSFORMS[name](**{key: 0.4 * low + 0.6 * high for key, (low, high) in ranges.items()})
    assert changed != default
    assert_comes_back(Pipeline(changed))


def test_compositions_come_back():
    rotation, noise = Rotation((-5, 9), mode="nearest", padding="border"), GaussianNoise()
    assert_comes_back(
        Pipeline(
            [
                Sometimes([rotation, Sometimes(noise, 0.125)], 0.3),
                OneOf([[rotation, noise], Brightness(), OneOf([noise], [2.0])], [1, 0, 2.5]),
                OnChannels([Brightness(), noise], (2, 0)),
            ]
        )
    )


SIMPLE = st.sampled_from(sorted(TRANSFORMS)).map(lambda name: TRANSFORMS[name]())
SHIFT = st.builds(lambda a, b: Brightness(tuple(sorted((a, b)))), *[st.floats(-1, 1)] * 2)


def composed(parts):
    several = st.lists(parts, min_size=1, max_size=3)
    weighted = several.flatmap(
        lambda items: st.builds(
            OneOf,
            st.just(items),
            st.none() | st.lists(st.floats(0.1, 9), min_size=len(items), max_size=len(items)),
        )
    )
    return several.map(lambda items: Pipeline(items).chain) | st.builds(Sometimes, parts, st.floats(0, 1)) | weighted


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.recursive(SIMPLE | SHIFT, composed, max_leaves=8), min_size=1, max_size=4))
def test_a_random_composition_comes_back(items):
    assert_comes_back(Pipeline(items))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "angle", "p", "transform", "transforms", "low"]), parts, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(JSON_VALUES, st.sampled_from(["rotation", "sometimes", "one_of", "pipeline", "on_channels", "gaussian_blur"]))
def test_whatever_stands_in_a_document_is_read_or_refused_with_a_value_error(value, name):
    entry = {"type": name, **value} if isinstance(value, dict) else value
    for document in (value, {"version": 1, "transforms": value}, {"version": 1, "transforms": [entry]}):
        with suppress(ValueError):
            pipeline = from_dict(document)
            assert from_dict(to_dict(pipeline)) == pipeline


def test_a_pipeline_read_back_draws_and_changes_images_alike():
    pipeline = Pipeline([Rotation(), Sometimes(GaussianNoise()), DOMAINS["night"]()])
    again = from_yaml(to_yaml(pipeline))
    x = torch.rand(4, 3, 12, 12)
    draw = pipeline.sample(4, torch.Generator().manual_seed(0))
    assert torch.equal(again.apply(x, again.sample(4, torch.Generator().manual_seed(0))), pipeline.apply(x, draw))
    assert pickle.loads(pickle.dumps(again)) == pipeline


def test_what_a_person_writes_may_be_short():
    text = """
    version: 1
    transforms:
      - type: rotation
        angle: [-10, 10]
      - {type: sometimes, p: 1, transform: {type: brightness, shift: 0.1}}
    """
    assert from_yaml(text) == Pipeline([Rotation((-10, 10)), Sometimes(Brightness(0.1), 1.0)])


def test_a_learned_bound_is_written_as_its_number():
    width = torch.tensor(10.0, requires_grad=True)
    assert from_dict(to_dict(Pipeline(Rotation(Uniform(-width, width))))) == Pipeline(Rotation((-10, 10)))


def test_documents_are_plain_for_any_other_program():
    pipeline = Pipeline([Rotation(), OnChannels(Brightness(), (0,))])
    assert yaml.safe_load(to_yaml(pipeline)) == json.loads(to_json(pipeline)) == to_dict(pipeline)


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_files_come_back(tmp_path, suffix):
    pipeline = Pipeline([Rotation(), GaussianNoise()])
    save_pipeline(Pipeline(Brightness()), tmp_path / f"p{suffix}")
    save_pipeline(pipeline, tmp_path / f"p{suffix}")
    assert load_pipeline(str(tmp_path / f"p{suffix}")) == pipeline
    assert [path.name for path in tmp_path.iterdir()] == [f"p{suffix}"]


def document(*transforms):
    return {"version": 1, "transforms": list(transforms)}


ROTATION = {"type": "rotation"}
WRONG = [
    ([], "document must be a mapping with the keys ['version', 'transforms'], got list"),
    ({"transforms": [ROTATION]}, "document must have the key 'version', got ['transforms']"),
    ({"version": 1}, "document must have the key 'transforms', got ['version']"),
    ({"version": 2, "transforms": [ROTATION]}, "version must be 1, got 2"),
    ({"version": True, "transforms": [ROTATION]}, "version must be 1, got True"),
    ({**document(ROTATION), "steps": 1}, "document has the unknown key 'steps'; known are ['version', 'transforms']"),
    (document(), "a pipeline must have at least one transform, got none"),
    ({"version": 1, "transforms": ROTATION}, "transforms must be a list whose entries are a mapping"),
    (document(3), "transforms[0] must be a mapping with the type of a transform, got 3"),
    (document(ROTATION, {"angle": 3}), "transforms[1].type must be one of ['auto_contrast', "),
    (document({"type": "rotate"}), "'rotation', "),
    (document({"type": "rotate"}), "], got 'rotate'"),
    (document({"type": ["rotation"]}), "], got ['rotation']"),
    (
        document({"type": "rotation", "angel": 3}),
        "transforms[0] has the unknown key 'angel'; known are ['type', 'angle', 'mode', 'padding']",
    ),
    (document({"type": "rotation", 3: 3}), "transforms[0] has the unknown key 3"),
    (
        document(ROTATION, ROTATION, {"type": "rotation", "angle": {"type": "uniform", "low": "x", "high": 1}}),
        "transforms[2].angle.low must be a number, got 'x'",
    ),
    (
        document({"type": "rotation", "angle": {"type": "uniform", "low": 1}}),
        "transforms[0].angle must have the key 'high'",
    ),
    (
        document({"type": "rotation", "angle": {"type": "gauss"}}),
        "transforms[0].angle.type must be one of ['beta', 'choice', 'constant', 'log_uniform', 'normal', "
        "'truncated_normal', 'uniform'], got 'gauss'",
    ),
    (
        document({"type": "rotation", "angle": "wide"}),
        "transforms[0].angle must be a number, a pair [low, high] or a mapping with the type of a distribution, "
        "got 'wide'",
    ),
    (document({"type": "rotation", "angle": True}), "transforms[0].angle must be a number, "),
    (document({"type": "rotation", "angle": [1, 2, 3]}), "a pair [low, high] or "),
    (document({"type": "rotation", "angle": [1, "y"]}), "transforms[0].angle[1] must be a number, got 'y'"),
    (document({"type": "rotation", "angle": [3, 1]}), "transforms[0]: angle: high must be >= low, got low=3, high=1"),
    (document({"type": "rotation", "angle": math.nan}), "transforms[0].angle must be finite, got nan"),
    (document({"type": "rotation", "angle": 10**400}), "transforms[0].angle must be finite, got 1000"),
    (document({"type": "rotation", "mode": 3}), "transforms[0].mode must be text, got 3"),
    (document({"type": "rotation", "mode": "cubic"}), "transforms[0]: mode must be one of"),
    (document({"type": "gaussian_blur", "kernel_size": 3.5}), "transforms[0].kernel_size must be an int or null"),
    (document({"type": "contrast", "pivot": "middle"}), "transforms[0].pivot must be 'mean' or a number, got 'middle'"),
    (document({"type": "sometimes"}), "transforms[0] must have the key 'transform', got ['type']"),
    (document({"type": "sometimes", "transform": ROTATION, "p": 2}), "transforms[0]: p must be in [0, 1], got 2"),
    (
        document({"type": "sometimes", "transform": {"type": "one_of", "transforms": [ROTATION, {"type": "x"}]}}),
        "transforms[0].transform.transforms[1].type must be one of",
    ),
    (
        document({"type": "one_of", "transforms": [ROTATION], "weights": [1, 2]}),
        "transforms[0]: weights must have 1 entries, got 2",
    ),
    (
        document({"type": "on_channels", "transform": {"type": "brightness"}, "channels": [0, 1.5]}),
        "transforms[0].channels[1] must be an int, got 1.5",
    ),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_a_wrong_document_is_refused_at_its_place(wrong, message):
    with pytest.raises(ValueError, match=r"must|unknown") as caught:
        from_dict(wrong)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".json", "{", "document must be JSON: Expecting property name"),
        (".json", '{"version": 1, "version": 1, "transforms": []}', "got 'version' twice"),
        (".json", "[" * 100_000, "document must be nested less deeply"),
        (".yaml", "a: [", "document must be YAML: while parsing"),
        (".yaml", "version: 1\nversion: 1\ntransforms: []", "got 'version' twice"),
        (".yaml", "&a {version: 1, transforms: [*a]}", "document must not use YAML aliases"),
        (".yaml", "", "document must be a mapping with the keys"),
        (
            ".yaml",
            "!!python/object/apply:os.system ['true']",
            "document must be YAML: could not determine a constructor",
        ),
        (
            ".yaml",
            "version: 1\ntransforms: [{type: rotation, angle: 2001-01-01}]",
            "transforms[0].angle must be a number",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_that_names_it(tmp_path, suffix, text, message):
    path = tmp_path / f"p{suffix}"
    path.write_text(text)
    with pytest.raises(ValueError, match="must") as caught:
        load_pipeline(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"path must end in .json, .yaml or .yml, got 'p.toml'"):
        load_pipeline("p.toml")
    with pytest.raises(ValueError, match=r"path must end in"):
        save_pipeline(Pipeline(Rotation()), tmp_path / "p")
    with pytest.raises(FileNotFoundError):
        load_pipeline(tmp_path / "missing.json")


def test_what_cannot_be_written_is_refused_at_its_place():
    kornia = KorniaAugmentation(K.RandomHorizontalFlip())
    with pytest.raises(ValueError, match=r"transforms\[1\].transform must be of a class .* got KorniaAugmentation"):
        to_dict(Pipeline([Rotation(), Sometimes(kornia)]))
    with pytest.raises(ValueError, match=r"transforms\[0\] must be of a class .* got Reinhard"):
        to_dict(Pipeline(Reinhard().fit(torch.rand(2, 3, 8, 8))))
