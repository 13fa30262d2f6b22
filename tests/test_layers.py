"""Imports run downward only, and importing the package stays free of side effects."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import art_domainrand

ROOT = Path(art_domainrand.__file__).parent

# From the ground up; a module may import what stands on its own line or above.
LAYERS = [
    {"core"},
    {"randomization"},
    {"estimators"},
    {"preprocessors"},
    {"attacks"},
    {"data", "evaluation", "images", "training"},
    {"augment", "demo", "gallery"},
    {"cli"},
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}


def room(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported_rooms(path: Path) -> set[str]:
    """Rooms of the package that a file imports, whether by full name or relatively."""
    names = set()
    inside = ["art_domainrand", *path.relative_to(ROOT).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names]
    return {p[1] for p in parts if p[0] == "art_domainrand" and len(p) > 1 and p[1] in HEIGHT}


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py" or path.parent != ROOT]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downward(path):
    own = room(path)
    assert own in HEIGHT, f"{own} is in no layer: add it to LAYERS"
    above = {name for name in imported_rooms(path) if HEIGHT[name] > HEIGHT[own]}
    assert not above


# The rooms inside randomization, from the ground up. A pipeline says where its labels go, so core and labels are on one
# line.
ROOMS = [{"numerics"}, {"core", "labels"}, {"corruptions"}, {"transforms"}, {"domains"}]
FLOOR = {name: floor for floor, line in enumerate(ROOMS) for name in line}


def test_randomizations_rooms_import_downward():
    inside = ROOT / "randomization"
    assert set(FLOOR) == {path.parent.name for path in inside.glob("*/__init__.py")}
    for path in inside.glob("*/*.py"):
        found = re.findall(r"from art_domainrand\.randomization\.(\w+)", path.read_text())
        above = {name for name in found if FLOOR.get(name, len(ROOMS)) > FLOOR[path.parent.name]}
        assert not above, f"{path.parent.name}/{path.name} imports {above}"


def test_randomization_knows_nothing_of_art():
    for path in (ROOT / "randomization").rglob("*.py"):
        assert "import art\n" not in path.read_text()
        assert "from art." not in path.read_text()


def test_importing_leaves_global_state_alone():
    code = (
        # ART itself draws from Python's generator when it is imported.
        "import art, random, torch, numpy as np; t, n, p = torch.get_rng_state(), np.random.get_state()[1].copy(), "
        "random.getstate(); threads = torch.get_num_threads(); import art_domainrand; "
        "assert torch.equal(t, torch.get_rng_state()); assert (n == np.random.get_state()[1]).all(); "
        "assert p == random.getstate(); assert threads == torch.get_num_threads(); "
        # What only the command, the gallery and the plots need is imported by them.
        "import sys; assert not {'matplotlib', 'typer', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_exist():
    assert all(hasattr(art_domainrand, name) for name in art_domainrand.__all__)
