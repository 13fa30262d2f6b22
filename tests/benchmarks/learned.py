"""What learned randomization is worth.

Run ``python tests/benchmarks/learned.py PART [OPTIONS]``; ``PART --help`` says more. Each part is a module of
``learned_parts`` that prints a Markdown table: three seeds, mean and spread, and the images that are tested choose
nothing.
"""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
PARTS = sorted(path.stem for path in (HERE / "learned_parts").glob("[!_]*.py"))


def main(arguments: list[str]) -> None:
    """Run the part that the first argument names with the others."""
    part = arguments[0] if arguments else ""
    if part not in PARTS:
        sys.exit(f"{__doc__}\nThe parts are {', '.join(PARTS)}.")
    import_module(f"learned_parts.{part}").main(arguments[1:])


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main(sys.argv[1:])
