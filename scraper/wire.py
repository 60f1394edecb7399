"""What the service and its worker processes say to each other: one JSON object a line, over a pair of sockets.

Service → worker: `{"do": "fetch", …spec}`, then `{"answer": "go" | "stop"}` and `{"proxy": port}` when asked; `{"do": "describe", …spec}`;
`{"do": "validators", "url"}`; `{"do": "thumbnail", "path", "directory"}`; `{"do": "picture", "urls", "referer", "directory"}`;
`{"do": "sort", "names", "directory", "max_bytes"}`; `{"do": "list", …spec}`, then `{"answer": "go" | "stop"}` after each page.
Worker → service: `identified`, `progress`, `need_proxy`, then one of `done`, `stopped`, `failed`; `described`, `validators`, `thumbnail`,
`picture`, `sorted`; `items`, a page at a time, then `listed`. Pictures are in base64, times in seconds since 1970.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, field
from typing import Any, Self

MAX_LINE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One fetch, as a worker gets it. Bytes and seconds."""

    url: str
    digest: str
    """The SHA-256 of the canonical address: the id of what has none of its own."""
    selection: str
    """`Selection.key`."""
    language: str | None
    directory: str
    max_bytes: int
    max_duration: float
    kept: str | None = None
    """Where an extraction of this address is kept that may be used."""
    cookies: str | None = field(default=None, repr=False)

    def to_message(self) -> dict[str, Any]:
        return {"do": "fetch", **asdict(self)}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        return cls(**{name: message[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class LookSpec:
    """One description, as a worker gets it."""

    url: str
    digest: str
    directory: str
    """Empty, and removed afterwards."""
    kept: str
    """Where to keep the extraction."""
    max_items: int
    cookies: str | None = field(default=None, repr=False)

    def to_message(self) -> dict[str, Any]:
        return {"do": "describe", **asdict(self)}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        return cls(**{name: message[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSpec:
    """One listing, as a worker gets it."""

    url: str
    directory: str
    """Empty, and removed afterwards."""
    with_dates: bool
    cookies: str | None = field(default=None, repr=False)

    def to_message(self) -> dict[str, Any]:
        return {"do": "list", **asdict(self)}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        return cls(**{name: message[name] for name in cls.__dataclass_fields__})


def encoded(message: dict[str, Any]) -> bytes:
    # Lone surrogates can come from file names and bad titles: ASCII escapes carry them.
    return json.dumps(message, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


class Line:
    """The worker's end: blocking."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")

    def send(self, message: dict[str, Any]) -> None:
        self._socket.sendall(encoded(message))

    def receive(self) -> dict[str, Any] | None:
        """None when the service is gone or needs this worker no longer."""
        line = self._file.readline(MAX_LINE)
        return json.loads(line) if line.endswith(b"\n") else None
