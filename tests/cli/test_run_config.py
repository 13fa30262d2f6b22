"""A run as a file: what is written is read back, and what cannot be meant is refused where it stands."""

import subprocess
import sys
from dataclasses import fields, replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from art_domainrand.cli.config_paths import from_config
from art_domainrand.cli.run_config import PRESET_NAMES, RunConfig, load_config, read_config, with_options
from art_domainrand.evaluation.conditions.presets import CONDITION_PRESETS

from support.commands import call, last_error

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
LISTED = NAMES.map(lambda text: text.replace(",", "").strip()).filter(bool)
FLOATS = st.floats(-1e6, 1e6)


@st.composite
def configs(draw):
    models = tuple(draw(st.lists(NAMES, max_size=3)))
    weights = tuple(draw(st.lists(NAMES, min_size=len(models), max_size=len(models)))) if draw(st.booleans()) else ()
    several = st.lists(LISTED, max_size=3).map(tuple)
    condition = st.fixed_dictionaries({"type": NAMES, "eps": FLOATS | NAMES})
    return RunConfig(
        model=models,
        weights=weights,
        mean=tuple(draw(st.lists(FLOATS, max_size=3))),
        std=tuple(draw(st.lists(FLOATS, max_size=3))),
        data=draw(NAMES),
        size=draw(st.none() | st.integers(1, 10**9)),
        download=draw(st.booleans()),
        limit=draw(st.none() | st.integers(1, 10**9)),
        preset=draw(st.none() | NAMES),
        **{name: draw(several) for name in ("attack", "norm", "eps", "domain", "corruptions")},
        conditions=tuple(draw(st.lists(condition, max_size=2))),
        batch_size=draw(st.just("auto") | st.integers(1, 10**9)),
        seed=draw(st.integers(0, 2**63 - 1)),
        out=draw(NAMES.filter(str.strip)),
        fail_under=draw(st.none() | NAMES),
    )


@settings(deadline=None, max_examples=50)
@given(configs())
def test_what_is_written_is_read_back(config):
    assert read_config(config.to_yaml()) == config


def test_the_file_names_every_option():
    written = RunConfig().to_yaml()
    assert all(f"\n{field.name}:" in f"\n{written}" for field in fields(RunConfig))


def test_one_value_stands_for_a_list_and_numbers_for_radii():
    text = "model: mine.py:make\nattack: pgd, fgsm\neps: [8/255, 0.1, 1]\nmean: 0.5\nstd: [0.25]\nlimit: 10"
    assert read_config(text) == RunConfig(
        model=("mine.py:make",), attack=("pgd", "fgsm"), eps=("8/255", "0.1", "1"), mean=(0.5,), std=(0.25,), limit=10
    )
    assert read_config("") == RunConfig()


def test_options_win_over_the_file():
    config = read_config("{seed: 3, eps: 8/255, mean: [0.1], std: [0.2], batch_size: 4}")
    options = {"seed": 5, "eps": ["1/255,2/255", "0.5"], "mean": "0.3,0.4", "std": "1,2", "limit": None}
    assert with_options(config, options) == RunConfig(
        seed=5, eps=("1/255", "2/255", "0.5"), mean=(0.3, 0.4), std=(1.0, 2.0), batch_size=4
    )
    assert with_options(config, dict.fromkeys(options)) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sede: 1", "config must have keys among ['model', "),
        ("sede: 1", "got 'sede'; did you mean 'seed'?"),
        ("batch-size: 1", "did you mean 'batch_size'?"),
        ("seed: one", "config: seed must be an int, got 'one'"),
        ("seed: true", "config: seed must be an int, got True"),
        ("seed: -1", "config: seed must be an int in [0, 2^63), got -1"),
        ("seed: .nan", "config: seed must be an int, got nan"),
        ("mean: [.inf]", "config: mean[0] must be finite, got inf"),
        ("limit: 0", "config: limit must be >= 1, got 0"),
        ("batch_size: some", "config: batch_size must be"),
        ("eps: [[1]]", "config: eps[0] must be text, got [1]"),
        ("model: 3", "config: model[0] must be text, got 3"),
        ("model: [a, b]\nweights: c", "config: weights must be given for each model or for none, got 1 for 2 models"),
        ("conditions: pgd", "config: conditions must be a list of conditions, got str"),
        ("out: ' '", "config: out must be the path of a folder"),
        ("- 1", "config must hold a mapping from names of options to values, got list"),
        ("seed: 1\nseed: 2", "config: a key must stand only once in its mapping, got 'seed' twice"),
        ("a: &a [1]\nb: *a", "config: document must not use YAML aliases"),
        (
            "data: !!python/object/apply:os.system [ls]",
            "config: document must be YAML: could not determine a con",
        ),
        ("seed: !!int ''", "config: document must be YAML"),
        ("seed: !!bool perhaps", "config: document must be YAML"),
        ("data: 2001-01-01", "config: data must be text, got datetime.date(2001, 1, 1)"),
        ("[" * 5000, "config: document must be nested less deeply"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(text, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 its message follows
        read_config(text)
    assert message in str(caught.value)


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path):
    for content, message in (
        (b"\xff\xfe\x00", "must be UTF-8 text"),
        (b"#" * (1 << 21), "at most 65536 bytes"),
    ):
        (tmp_path / "run.yaml").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load_config(tmp_path / "run.yaml")


WITH_PATHS = RunConfig(
    model=("net.py:make", "own=net.py:make", "net.pt2", "torchvision:resnet18", "my.module:make"),
    weights=("net.pt", "sub/net.pt", "missing.pt", "pretrained", "net.pt"),
    data="npz:net.pt",
    conditions=(
        {"type": "in_domain", "domain": {"type": "domain.generator", "file": "net.pt"}},
        {
            "type": "union",
            "conditions": [{"pipeline": {"transforms": [{"file": "sub/net.pt"}, {"file": "missing.pt"}]}}],
        },
    ),
)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A folder with files of all names, and beside it an empty one, in which we are."""
    (tmp_path / "there" / "sub").mkdir(parents=True)
    for name in ("net.py", "net.pt2", "net.pt", "sub/net.pt", "torchvision", "my.module"):
        (tmp_path / "there" / name).touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_relative_paths_are_those_of_the_working_folder_or_else_of_the_config(folders):
    there = folders / "there"
    found = from_config(WITH_PATHS, there)
    assert found.model == (
        f"{there}/net.py:make",
        f"own={there}/net.py:make",
        f"{there}/net.pt2",
        "torchvision:resnet18",
        "my.module:make",
    )
    assert found.weights == (f"{there}/net.pt", f"{there}/sub/net.pt", "missing.pt", "pretrained", f"{there}/net.pt")
    assert found.data == f"npz:{there}/net.pt"
    first, second = found.conditions
    assert first["domain"]["file"] == f"{there}/net.pt"
    assert second["conditions"][0]["pipeline"]["transforms"] == [
        {"file": f"{there}/sub/net.pt"},
        {"file": "missing.pt"},
    ]
    changed = {name: getattr(WITH_PATHS, name) for name in ("model", "weights", "data", "conditions")}
    assert replace(found, **changed) == WITH_PATHS
    assert from_config(found, folders / "elsewhere") == found  # what is absolute stays


def test_what_is_in_the_working_folder_goes_before(folders):
    for name in ("net.py", "net.pt2", "net.pt"):
        (folders / "here" / name).touch()
    (folders / "here" / "sub").mkdir()
    (folders / "here" / "sub" / "net.pt").touch()
    assert from_config(WITH_PATHS, folders / "there") == WITH_PATHS


def test_a_config_in_another_folder_finds_what_stands_beside_it(folders):
    (folders / "there" / "run.yaml").write_text(
        "{model: net.py:make, weights: net.pt, data: 'imagefolder:sub', out: o}"
    )
    shown = yaml.safe_load(call("evaluate", "--config", "../there/run.yaml", "--dump-config").stdout)
    assert (shown["model"], shown["weights"]) == (["../there/net.py:make"], ["../there/net.pt"])
    assert (shown["data"], shown["out"]) == ("imagefolder:../there/sub", "o")


@pytest.mark.parametrize("text", ["\0", "~nobody-here/net.pt", "", "a" * 5000])
def test_what_can_be_no_path_is_left_to_what_opens_it(text, folders):
    asked = RunConfig(data=f"npz:{text}", conditions=({"file": text},))
    assert from_config(asked, folders / "there") == asked


def test_what_is_wrong_is_said_before_torch_is_imported():
    """It takes seconds, which nobody should wait for to be told of a typing error."""
    code = """
import sys
from typer.testing import CliRunner
from art_domainrand.cli import app
for given in (
    "evaluate --norm l9", "evaluate --eps abc", "evaluate --preset qick", "evaluate --norm l0,l2 --eps 0.5",
    "evaluate --tpyo", "evaluate --config none.yaml", "attack --norm l9", "benchmark --eps abc",
):
    assert CliRunner().invoke(app, given.split()).exit_code == 2, given
assert not {"torch", "art", "kornia"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_presets_and_what_is_said_of_others():
    assert tuple(CONDITION_PRESETS) == PRESET_NAMES
    said = last_error(call("evaluate", "--preset", "qick"))
    assert said == f"Error: preset must be one of {list(PRESET_NAMES)}, got 'qick'; did you mean 'quick'?"
