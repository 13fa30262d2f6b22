"""Timing and memory for the benchmarks: interleaved rounds, medians, spread, and the versions they belong to."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "adversarial-robustness-toolbox", "kornia", "torchattacks", "foolbox", "numpy")


def interleaved(sides: dict[str, Callable[[], Any]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every side in every round; within a round all sides run once, so that drift hits them alike.

    On one CPU thread the seconds are those of this process, so that other programs do not count.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    for run in sides.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            synchronize(device)
            begin = clock()
            run()
            synchronize(device)
            times[name].append(clock() - begin)
    return times


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """The result and the seconds it took."""
    clock = time.process_time if torch.get_num_threads() == 1 and not torch.cuda.is_available() else time.perf_counter
    begin = clock()
    found = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, clock() - begin


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ratio(times: dict[str, list[float]], side: str, to: str) -> tuple[float, float, float]:
    """Median and quartiles of the ratio of two sides, taken round by round."""
    ratios = sorted(a / b for a, b in zip(times[side], times[to], strict=True))
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return middle, low, high


def peak_bytes(run: Callable[[], Any], device: torch.device) -> int:
    """Largest memory in tensors above the start: allocator statistics on CUDA, profiler records on the CPU."""
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    level = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        level += event.nbytes()
        peak = max(peak, level)
    return peak


def surroundings(device: torch.device) -> dict[str, Any]:
    """What the figures depend on: packages, processor, threads."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {"device": name, "threads": torch.get_num_threads(), "python": platform.python_version(), **found}


def processor() -> str:
    """The CPU's model name, or the machine type where it is not told."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows of equal keys as a Markdown table."""
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")


def write(path: Path | None, document: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(document, indent=1) + "\n")
