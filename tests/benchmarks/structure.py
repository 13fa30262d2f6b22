"""The shape of the house: how deep imports run, what is crowded, which names mean two things.

``python tests/benchmarks/structure.py`` prints a table for this package and, where they are installed, for foolbox and
Kornia, all measured by the same rules on the source alone. tests/test_structure.py holds this package to its limits.
"""

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
PEERS = ("foolbox", "kornia")


@dataclass(frozen=True)
class Package:
    """A package's source, read once."""

    name: str
    folder: Path

    @classmethod
    def installed(cls, name: str) -> "Package | None":
        """The package as it is installed; None if it is not."""
        spec = find_spec(name)
        return None if spec is None or spec.origin is None else cls(name, Path(spec.origin).parent)

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """Module name -> syntax tree."""
        return {self.module(path): ast.parse(path.read_text()) for path in sorted(self.folder.rglob("*.py"))}

    @cached_property
    def packages(self) -> set[str]:
        """The modules that are folders."""
        return {self.module(path) for path in self.folder.rglob("__init__.py")}

    @cached_property
    def files(self) -> list[str]:
        """The modules that are no folders."""
        return sorted({self.module(path) for path in self.folder.rglob("*.py")} - self.packages)

    def module(self, path: Path) -> str:
        """The dotted name of a file."""
        parts = (self.name, *path.relative_to(self.folder).with_suffix("").parts)
        return ".".join(parts).removesuffix(".__init__")

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """Module -> the modules whose names it imports, wherever in the file, for types only too.

        A name taken from a folder counts as taken from the file that defines it: a folder's ``__init__`` is a front
        door, not a floor.
        """
        return {module: self._imports_of(module) - {module} for module in self.files}

    def _imports_of(self, module: str) -> set[str]:
        found = set()
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.ImportFrom):
                source = self._absolute(module, node)
                found |= {self._definer(source, alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
        return {name for name in found if name in self.trees}

    def _absolute(self, module: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        inside = module.split(".") if module in self.packages else module.split(".")[:-1]
        base = inside[: len(inside) - node.level + 1]
        return ".".join([*base, node.module] if node.module else base)

    def _definer(self, source: str, name: str, seen: frozenset[str] = frozenset()) -> str:
        """The module that defines what ``from source import name`` gives."""
        inner = f"{source}.{name}"
        if inner in self.trees and inner not in self.packages:
            return inner
        if source not in self.packages or source in seen:
            return source
        for node in ast.walk(self.trees[source]):  # also what is imported for types alone
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return self._definer(self._absolute(source, node), alias.name, seen | {source})
        return source

    def longest_chain(self) -> list[str]:
        """The longest chain of imports, from the top down; files that import one another count as one."""
        group = {module: cycle[0] for cycle in self.cycles() for module in cycle}
        below: dict[str, set[str]] = defaultdict(set)
        for module, others in self.imports.items():
            own = group.get(module, module)
            below[own] |= {group.get(other, other) for other in others if other not in self.packages} - {own}
        chains: dict[str, list[str]] = {}
        for module in TopologicalSorter(below).static_order():  # what is imported comes first
            chains[module] = [module, *max((chains[m] for m in sorted(below[module])), key=len, default=[])]
        return max(chains.values(), key=len)

    def cycles(self) -> list[list[str]]:
        """Groups of files that import one another, directly or around corners."""
        reach = {module: self._reachable(module) for module in self.imports}
        groups = {
            tuple(sorted(m for m in reach[module] if module in reach.get(m, ())))
            for module in self.imports
            if module in reach[module]
        }
        return [list(group) for group in sorted(groups)]

    def _reachable(self, module: str) -> set[str]:
        found: set[str] = set()
        left = list(self.imports.get(module, ()))
        while left:
            one = left.pop()
            if one not in found:
                found.add(one)
                left += self.imports.get(one, ())
        return found

    def files_per_folder(self) -> dict[str, int]:
        """Folder -> how many source files it holds, ``__init__`` aside."""
        counts: dict[str, int] = defaultdict(int)
        for path in self.folder.rglob("*.py"):
            if path.name != "__init__.py":
                counts[str(path.parent.relative_to(self.folder))] += 1
        return counts

    def names_defined_twice(self) -> dict[str, list[str]]:
        """Public names of module level -> the files that define them, where there are several."""
        places: dict[str, list[str]] = defaultdict(list)
        for module, tree in self.trees.items():
            for name in {name for node in tree.body for name in defined(node)}:
                if not name.startswith("_"):
                    places[name].append(module)
        return {name: sorted(modules) for name, modules in sorted(places.items()) if len(modules) > 1}

    def lines(self) -> dict[str, int]:
        """File -> lines."""
        return {str(p.relative_to(self.folder)): len(p.read_text().splitlines()) for p in self.folder.rglob("*.py")}

    def function_lengths(self) -> list[int]:
        """Lines of every function's body, its docstring aside."""
        nodes = [n for tree in self.trees.values() for n in ast.walk(tree)]
        return [body_lines(n) for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def defined(node: ast.stmt) -> list[str]:
    """The names that a statement of a module defines; a name that is only passed on is defined elsewhere."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def words(path: Path) -> int:
    """How many words a document has for its reader: code blocks and tables count, link targets and comments do not."""
    text = re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.DOTALL)
    return len(re.sub(r"\]\([^)]*\)", "]", text).split())


def row(package: Package) -> dict[str, object]:
    """The figures of one package."""
    folders, lines = package.files_per_folder(), package.lines()
    fullest, longest = max(folders, key=lambda f: folders[f]), max(lines, key=lambda f: lines[f])
    return {
        "files": len(lines),
        "lines": sum(lines.values()),
        "longest import chain": len(package.longest_chain()),
        "import cycles": len(package.cycles()),
        "fullest folder": f"{folders[fullest]} ({fullest})",
        "names defined in several files": len(package.names_defined_twice()),
        "longest file": f"{lines[longest]} ({longest})",
        "median function, lines": median(package.function_lengths()),
    }


def main() -> None:
    """Print the table, and what makes its figures for this package."""
    own = Package("art_domainrand", ROOT / "art_domainrand")
    packages = [own, *(p for p in map(Package.installed, PEERS) if p is not None)]
    rows = {package.name: row(package) for package in packages}
    print("|  | " + " | ".join(rows) + " |\n|---|" + "---|" * len(rows))
    for figure in rows[own.name]:
        print(f"| {figure} | " + " | ".join(str(r[figure]) for r in rows.values()) + " |")
    print(f"| words of README | {words(ROOT / 'README.md')} |" + " |" * (len(rows) - 1))
    print("\nLongest chain: " + " > ".join(m.removeprefix("art_domainrand.") for m in own.longest_chain()))
    for cycle in own.cycles():
        print("Cycle: " + ", ".join(cycle))
    for name, modules in own.names_defined_twice().items():
        print(f"Defined in several files: {name}: {', '.join(m.removeprefix('art_domainrand.') for m in modules)}")


if __name__ == "__main__":
    main()
