"""Pairs of measurements: this, that, this, that …; medians and their ratio."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One target and what was measured. `value` and `target` in `unit`: a ratio, seconds, milliseconds or megabytes."""

    name: str
    value: float
    target: float
    unit: str
    detail: str
    bound: Literal["at most", "at least"] = "at most"

    @property
    def is_met(self) -> bool:
        return self.value >= self.target if self.bound == "at least" else self.value <= self.target

    def line(self) -> str:
        mark = "met   " if self.is_met else "MISSED"
        return f"{mark} {self.name}: {self.value:.3g} {self.unit} ({self.bound} {self.target:g}); {self.detail}"


@dataclass(slots=True)
class Report:
    """Prints each result as it comes and writes all at the end."""

    results: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.results.append(result)
        print(result.line(), flush=True)

    def write(self, name: str) -> Path:
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / f"{name}.json"
        machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
        body = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine,
            "results": [{**asdict(result), "met": result.is_met} for result in self.results],
        }
        file.write_text(json.dumps(body, indent=2) + "\n")
        return file


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def paired(ours: Callable[[], object], bare: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of both, run in turn, after one round that does not count."""
    ours()
    bare()
    pairs = [(seconds(ours), seconds(bare)) for _ in range(rounds)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def ratio(name: str, target: float, ours: float, bare: float, what: str) -> Result:
    return Result(name=name, value=ours / bare, target=target, unit="×", detail=f"{ours:.3f} s against {bare:.3f} s ({what})")


def rate(name: str, target: float, ours: float, bare: float, what: str) -> Result:
    """How many of ours there are to one of the other; both are given as the seconds that one takes."""
    detail = f"{1 / ours:.0f} a second against {1 / bare:.0f} ({what})"
    return Result(name=name, value=bare / ours, target=target, unit="×", detail=detail, bound="at least")
