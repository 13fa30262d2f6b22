"""The house holds its shape: layers, import chains, crowding, names, signatures; benchmarks/structure.py measures."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.structure import Package

import art_domainrand

ROOT = Path(art_domainrand.__file__).parent
HOUSE = Package("art_domainrand", ROOT)

# From the ground up; a module may import what stands on its own line or above.
LAYERS = [
    {"core"},
    {"randomization"},
    {"generative"},
    {"estimators"},
    {"preprocessors"},
    {"attacks"},
    {"data", "images", "scenes", "evaluation", "training"},
    {"augment", "demo", "gallery", "loading"},
    {"cli"},
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}

LONGEST_CHAIN, FULLEST_FOLDER, LONGEST_FILE = 12, 22, 300

# ART's names whose underscore says that they are its own; ART's trainers, which are no estimators, are overridden in
# training/.
PRIVATE_TO_ART = re.compile(
    r"(?<!self)\._(model|loss|optimizer|use_amp|apply_preprocessing|make_model_wrapper|reduce_labels|device)\b"
)

PUBLIC = [
    "art_domainrand",
    *(
        f"art_domainrand.{room}"
        for room in ("attacks", "evaluation", "generative", "preprocessors", "randomization", "training")
    ),
    *(f"art_domainrand.evaluation.{room}" for room in ("conditions", "report", "sources", "summary")),
]


def room(module: str) -> str:
    """The part of the house that a module belongs to."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", HOUSE.files)
def test_imports_run_downward(module):
    assert room(module) in HEIGHT, f"{room(module)} is in no layer: add it to LAYERS"
    above = {other for other in HOUSE.imports[module] if HEIGHT.get(room(other), -1) > HEIGHT[room(module)]}
    assert not above


# The rooms inside randomization, from the ground up. A pipeline says where its labels go, so core and labels are on one
# line.
ROOMS = [
    {"numerics"},
    {"core", "labels"},
    {"corruptions", "unforeseen", "prime"},
    {"transforms"},
    {"domains", "policies", "modalities"},
    {"learned"},
]
FLOOR = {name: floor for floor, line in enumerate(ROOMS) for name in line}


def test_randomizations_rooms_import_downward():
    inside = ROOT / "randomization"
    assert set(FLOOR) == {path.parent.name for path in inside.glob("*/__init__.py")}
    for path in inside.glob("*/*.py"):
        found = re.findall(r"from art_domainrand\.randomization\.(\w+)", path.read_text())
        above = {name for name in found if FLOOR.get(name, len(ROOMS) - 1) > FLOOR[path.parent.name]}
        assert not above, f"{path.parent.name}/{path.name} imports {above}"


def test_no_chain_of_imports_is_long():
    chain = HOUSE.longest_chain()
    assert len(chain) <= LONGEST_CHAIN, " > ".join(chain)


def test_no_files_import_one_another():
    assert HOUSE.cycles() == []


def test_no_folder_is_crowded():
    crowded = {folder: files for folder, files in HOUSE.files_per_folder().items() if files > FULLEST_FOLDER}
    assert crowded == {}


def test_no_file_is_long():
    assert {path: lines for path, lines in HOUSE.lines().items() if lines > LONGEST_FILE} == {}


def test_no_name_has_two_meanings():
    assert HOUSE.names_defined_twice() == {}


def test_imports_are_absolute():
    relative = [path for path in ROOT.rglob("*.py") if re.search(r"^\s*from \.", path.read_text(), re.MULTILINE)]
    assert relative == []


def test_randomization_and_core_know_nothing_of_art():
    for folder in ("core", "randomization"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(r"^\s*(import art|from art)\b", path.read_text(), re.MULTILINE), path


def test_only_estimators_know_the_inside_of_art():
    outside = [path for path in ROOT.rglob("*.py") if path.parent.name != "estimators"]
    assert {
        str(p): PRIVATE_TO_ART.findall(p.read_text()) for p in outside if PRIVATE_TO_ART.search(p.read_text())
    } == {}


def public_callables():
    """Every public class and function, by its name."""
    for name in PUBLIC:
        module = importlib.import_module(name)
        for member in module.__all__:
            thing = getattr(module, member)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield pytest.param(thing, id=f"{name}.{member}")


@pytest.mark.parametrize("thing", public_callables())
def test_signatures_are_written_out(thing):
    kinds = {parameter.kind for parameter in inspect.signature(thing).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds


def test_importing_loads_what_is_used_and_leaves_global_state_alone():
    code = """
import sys
import art_domainrand.cli
assert not {"torch", "art"} & set(sys.modules), "the command starts at once"
for name in [name for name in sys.modules if name.split(".")[0] in {"art_domainrand", "typer"}]:
    del sys.modules[name]

import random, art, numpy as np, torch  # ART itself draws from Python's generator when it is imported
def state():
    threads = torch.get_num_threads()
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate(), threads
before = state()
import art_domainrand
for name in art_domainrand.__all__:
    getattr(art_domainrand, name)
assert state() == before
loaded = {"matplotlib", "typer", "torchvision"} & set(sys.modules)
assert not loaded, f"only the command, the gallery and the plots need {loaded}"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_exist():
    assert all(hasattr(art_domainrand, name) for name in art_domainrand.__all__)


def test_the_measure_finds_what_it_looks_for(tmp_path):
    """A small house with every fault."""
    for path, text in {
        "__init__.py": "from house.a import A\n",
        "a.py": "from house.b import B\nclass A: pass\n",
        "b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house import A\nclass B: pass\n",
        "c.py": "def late():\n    from house import a\n    return a\nA = 1\n",
    }.items():
        (tmp_path / path).write_text(text)
    house = Package("house", tmp_path)
    assert house.imports == {"house.a": {"house.b"}, "house.b": {"house.a"}, "house.c": {"house.a"}}
    assert house.cycles() == [["house.a", "house.b"]]
    assert house.longest_chain() == ["house.c", "house.a"]
    assert house.names_defined_twice() == {"A": ["house.a", "house.c"]}
    assert house.files_per_folder() == {".": 3}


def test_names_at_the_top_are_imported_when_asked_for():
    shown = HOUSE.trees["art_domainrand"]
    for_types = {
        alias.name: node.module
        for node in ast.walk(shown)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("art_domainrand.")
        for alias in node.names
    }
    assert for_types == art_domainrand._HOMES
    assert set(for_types) == set(art_domainrand.__all__) <= set(dir(art_domainrand))
    assert art_domainrand.attacks.PGD is art_domainrand.PGD
    with pytest.raises(AttributeError, match="no attribute 'PDG'"):
        art_domainrand.__getattr__("PDG")
