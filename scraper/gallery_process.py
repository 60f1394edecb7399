"""gallery-dl in a process of its own: `python -m scraper.gallery_process PARENT PORT MAX_BYTES -- gallery-dl's arguments`.

It dies with its parent, writes no file beyond the bound, starts no program, and has one way out: the filtering proxy on PORT. That holds
whatever gallery-dl or an extractor of its does, since it is the interpreter that refuses. Extractors that read what somebody names
(`r:`, `recursive:`, `noextractor:`, `oauth:`, `ytdl:`, `generic:`) are not loaded.
"""

from __future__ import annotations

import runpy
import signal
import sys
from typing import Any

from scraper import process
from scraper.egress import EgressPolicy
from scraper.guard import Guard

_PROXY_HOST = "127.0.0.1"
_NOT_LOADED = frozenset({"recursive", "oauth", "noop", "ytdl", "generic"})


class _ProxyOnly(EgressPolicy):
    """No address but the proxy's, and no name at all."""

    def permits(self, address: str, port: int) -> bool:
        del address, port
        return False

    def blocks(self, host: str) -> bool:
        return host != _PROXY_HOST


def main() -> None:
    parent, port, max_bytes = (int(argument) for argument in sys.argv[1:4])
    process.die_with_parent(parent)
    process.limit()
    process.limit_file_size(max_bytes)
    # A file that grows beyond the bound ends the run: as an error it would cost that file only, and nobody would be told.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    guard = Guard(_ProxyOnly(), None, None)
    guard.through_proxy((_PROXY_HOST, port))
    guard.install()
    # Optional, and of another licence: it is run here as the program that it is.
    from gallery_dl import extractor as extractors  # type: ignore[import-untyped] # noqa: PLC0415 - after the guard
    from gallery_dl import formatter, job  # noqa: PLC0415 - as above

    name_entries(job.DataJob, formatter.parse)
    extractors.modules[:] = [name for name in extractors.modules if name not in _NOT_LOADED]
    sys.argv = ["gallery-dl", *sys.argv[5:]]
    runpy.run_module("gallery_dl", run_name="__main__")


def name_entries(data_job: type, parse: Any) -> None:
    """What is told of a file says what gallery-dl's archive would call it, too: `archive_entry`."""
    tell = data_job.handle_url  # type: ignore[attr-defined]

    def handle_url(self: Any, url: str, about: dict[str, Any]) -> None:
        named = f"{self.extractor.category}{self.extractor.archive_fmt}" if self.extractor.archive_fmt else None
        tell(self, url, {**about, "archive_entry": parse(named).format_map(about) if named else None})

    data_job.handle_url = handle_url  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
