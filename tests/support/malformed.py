"""Files that are not what they should be: configs, archives of arrays, images."""

import io
import math
import zipfile
from dataclasses import fields

import numpy as np
import yaml
from hypothesis import strategies as st
from PIL import Image

from art_domainrand.cli.run_config import RunConfig
from art_domainrand.evaluation.conditions import CONDITIONS

KEYS = [field.name for field in fields(RunConfig)]
NUMBERS = [None, True, -1, 0, 2**63, 10**400, math.nan, math.inf, -math.inf, 1e308, 1e-320]
TEXTS = ["", " ", "\0", "8/255", "8/0", "1e999", "9" * 5000, "../..", "/dev/null", "pgd", "strongest", "fog:9", "fog"]
MORE = [
    "l2",
    "auto",
    "digits:0",
    "npz:",
    "hf:x",
    "a.py:b",
    "quick",
    "\u202e",
    "clean>=0",
    "robust(" * 300,
    "=",
    ":",
    ",",
]
SCALARS = (
    st.sampled_from([*NUMBERS, *TEXTS, *MORE])
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.binary(max_size=4)
)
PARTS = ["type", "attack", "eps", "norm", "options", "first", "second", "pipeline", "draws", "severity"]
CONDITION = st.dictionaries(st.sampled_from(PARTS), st.sampled_from([*CONDITIONS, "custom"]) | SCALARS, max_size=5)
NAMES = SCALARS.filter(lambda key: key == key)
VALUES = st.recursive(
    SCALARS | CONDITION,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), VALUES, max_size=4) | VALUES
LAUGHS = "".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
SNIPPETS = ["{", "- [", "&a *a", f"a: &a [x]\n{LAUGHS}", "!!python/name:os.system", "!!binary x", "!!timestamp 1", "?"]
SNIPPETS += [
    "!!int ''",
    "a: b: c",
    "\t",
    "%YAML 9",
    "<<: 3",
    "!!set {a}",
    "[" * 300,
    "seed: 0x",
    "eps: 1:60",
    "--- 1\n---",
]


@st.composite
def texts(draw):
    """YAML of documents, with some bytes changed or cut, and what is no YAML."""
    if draw(st.booleans()):
        content = yaml.safe_dump(draw(DOCUMENTS)).encode()
    else:
        content = "\n".join(draw(st.lists(st.sampled_from([*SNIPPETS, "seed: 1", "eps: 8/255"]), max_size=3))).encode()
    return draw(damaged(content)) if draw(st.booleans()) else content


def damaged(content):
    """Bytes with a few changed, put in or left out, or cut."""
    place = st.integers(0, len(content))
    changed = st.builds(lambda p, new, cut: content[:p] + new + content[p + cut :], place, st.binary(max_size=3), place)
    near = st.builds(
        lambda p, new, cut: content[:p] + new + content[p + cut :], place, st.binary(max_size=3), st.integers(0, 4)
    )
    return near | changed


def npz_bytes(arrays, compressed):
    """An NPZ file; objects are pickled, as NumPy would."""
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


GOOD_X = np.linspace(0, 1, 3 * 64, dtype=np.float32).reshape(3, 1, 8, 8)
LABELS = st.sampled_from(
    [
        np.array([0, 1, 2]),
        np.array([0.0, 1.0, 2.0]),
        np.eye(10)[:3],
        np.array([0, 1, 10]),
        np.array([0, 1, -1]),
        np.array([0, 1, 2**62]),
        np.array([0, 1, 2**64 - 1], np.uint64),
        np.array([0, 1, 0.5]),
        np.array([0, np.nan, 1]),
        np.array([np.inf, 0, 1]),
        np.array([0, 1]),
        np.array([]),
        np.array(3),
        np.zeros((3, 2, 2)),
        np.array(["a", "b", "c"]),
        np.array([None, 1, "x"], object),
        np.array([1j, 0, 1]),
        np.array([True, False, True]),
        np.array(["2001-01-01"] * 3, "datetime64[D]"),
        np.zeros(3, [("a", int)]),
        np.zeros((3, 0)),
    ]
)
IMAGES = st.sampled_from(
    [
        GOOD_X,
        GOOD_X * np.float32(np.nan),
        np.full_like(GOOD_X, np.inf),
        GOOD_X * 1e38,
        -GOOD_X,
        GOOD_X.astype(np.float64),
        (GOOD_X * 255).astype(np.uint8),
        GOOD_X.astype(np.float16),
        np.moveaxis(GOOD_X, 1, -1),
        GOOD_X[:, 0],
        GOOD_X[:0],
        GOOD_X[:, :, :0],
        GOOD_X[0, 0, 0, 0],
        GOOD_X.astype(object),
        GOOD_X.astype(complex),
        GOOD_X.astype("U4"),
        np.asfortranarray(GOOD_X),
        np.zeros((3, 1, 8, 8), [("a", "f4")]),
        np.zeros((3, 10**6, 0)),
    ]
)


@st.composite
def archives(draw):
    """NPZ files with strange arrays, damaged, with other names, or members that claim to be huge."""
    x, y = draw(IMAGES), draw(LABELS)
    kind = draw(st.sampled_from(["plain", "plain", "damaged", "names", "claims"]))
    names = draw(st.sampled_from([("x", "y"), ("x",), ("X", "Y"), ("x", "y", "classes")])) if kind == "names" else "xy"
    content = npz_bytes(dict(zip(names, (x, y, y), strict=False)), draw(st.booleans()))
    if kind == "damaged":
        return draw(damaged(content))
    if kind == "claims":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            shape = draw(st.sampled_from([(10**9, 3, 8, 8), (10**30,), (-1, 3), (2**63, 2)]))
            header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
            for name in "xy":
                archive.writestr(
                    f"{name}.npy", b"\x93NUMPY\x01\x00v\x00" + header.ljust(117).encode() + b"\n" + b"\0" * 64
                )
        return file.getvalue()
    return content


def encoded(form, mode="RGB"):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((9, 7)).convert(mode).save(file, form)
    return file.getvalue()


WHOLE_FILES = [
    encoded("PNG"),
    encoded("PNG", "I;16"),
    encoded("JPEG"),
    encoded("GIF", "P"),
    encoded("TIFF"),
    encoded("BMP"),
    encoded("WEBP"),
]
HUGE = encoded("PNG")[:16] + (60000).to_bytes(4) * 2 + encoded("PNG")[24:]


def broken_images():
    """Image files, damaged and whole."""
    return st.sampled_from(WHOLE_FILES).flatmap(damaged) | st.sampled_from(
        [*WHOLE_FILES, b"", HUGE, b"GIF89a", b"RIFF"]
    )
