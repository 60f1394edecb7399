"""What the service tells its zygote once, at the start."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from scraper.egress import EgressPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """Paths are absolute; `ffmpeg` is the link in our own directory, the only ffmpeg that a worker may start."""

    policy: EgressPolicy
    state_directory: Path
    ffmpeg: str
    deno: str | None
    plugin_dirs: tuple[str, ...]

    def to_line(self) -> bytes:
        wire: dict[str, Any] = {
            "policy": self.policy.to_wire(),
            "state_directory": str(self.state_directory),
            "ffmpeg": self.ffmpeg,
            "deno": self.deno,
            "plugin_dirs": list(self.plugin_dirs),
        }
        return json.dumps(wire).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        wire = json.loads(line)
        return cls(
            policy=EgressPolicy.from_wire(wire["policy"]),
            state_directory=Path(wire["state_directory"]),
            ffmpeg=wire["ffmpeg"],
            deno=wire["deno"],
            plugin_dirs=tuple(wire["plugin_dirs"]),
        )
