"""A run as a file: what is written is read back, and what cannot be meant is refused where it stands."""

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_domainrand.cli.run_config import RunConfig, load_config, read_config, with_options

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
