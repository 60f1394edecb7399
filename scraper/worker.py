"""A worker process, from its fork to its end: one job after the other, each for the same trust class."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from scraper import process, thumbnails
from scraper.failures import JobFailed, cause_of
from scraper.listing import Listing
from scraper.look import Look
from scraper.post_files import sorted_files, web_picture
from scraper.validators import validators_of
from scraper.wire import JobSpec, Line, ListSpec, LookSpec
from scraper.workshop import Workshop
from scraper.ytdlp import Job

_SLACK = 1024 * 1024
"""Beyond the size bound: so that the meter, which knows better what to say, is first to stop a download."""
_MAX_LOOK = 64 * 1024 * 1024
"""For what is not a download: the pictures of descriptions, and extractions that are kept."""


class _Talk:
    def __init__(self, line: Line) -> None:
        self._line = line

    def identified(self, found: dict[str, Any]) -> bool:
        self._line.send({"event": "identified", **found})
        return self._answer().get("answer") == "go"

    def items(self, items: list[dict[str, Any]]) -> bool:
        self._line.send({"event": "items", "items": items})
        return self._answer().get("answer") == "go"

    def progress(self, state: dict[str, Any]) -> None:
        self._line.send({"event": "progress", **state})

    def proxy(self) -> tuple[str, int]:
        self._line.send({"event": "need_proxy"})
        return "127.0.0.1", int(self._answer()["proxy"])

    def _answer(self) -> dict[str, Any]:
        answer = self._line.receive()
        if answer is None:
            os._exit(0)  # nobody waits for this job any more
        return answer


def work(connection: socket.socket, workshop: Workshop, parent: int) -> NoReturn:
    """The body of a forked worker."""
    os.setpgid(0, 0)
    process.die_with_parent(parent)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    process.limit()
    process.bind_children()
    workshop.guard.install()
    line = Line(connection)
    while (message := line.receive()) is not None:
        line.send(_answer_to(message, workshop, line))
    os._exit(0)


def _answer_to(message: dict[str, Any], workshop: Workshop, line: Line) -> dict[str, Any]:
    workshop.guard.reset()
    try:
        return _done(message, workshop, line)
    except Exception as error:  # noqa: BLE001 - the outermost loop of the process: whatever a site provokes is a failed job
        failure = cause_of(error, workshop.guard)
        return {"event": "failed", "code": failure.code, "detail": failure.detail}
    except SystemExit as left:
        return {"event": "failed", "code": "download_failed", "detail": f"left with {left.code}"}


def _done(message: dict[str, Any], workshop: Workshop, line: Line) -> dict[str, Any]:
    """The answer to one order. What it writes stays within its directory."""
    match message["do"]:
        case "validators":
            return {"event": "validators", **validators_of(message["url"], workshop)}
        case "describe":
            spec = LookSpec.from_message(message)
            with _within(spec.directory, _MAX_LOOK, workshop):
                return {"event": "described", **Look(spec, workshop).run()}
        case "thumbnail":
            with _within(message["directory"], _MAX_LOOK, workshop):
                found = thumbnails.thumbnail_of(Path(message["path"]), Path(message["directory"]), workshop.ffmpeg)
                return {"event": "thumbnail", "picture": None if found is None else base64.b64encode(found).decode("ascii")}
        case "picture":
            with _within(message["directory"], _MAX_LOOK, workshop):
                return {"event": "picture", "picture": web_picture(message, workshop)}
        case "sort":
            with _within(message["directory"], message["max_bytes"] + _SLACK, workshop):
                return {"event": "sorted", "files": sorted_files(message, workshop.ffmpeg)}
        case talk:
            answer = _list(message, workshop, line) if talk == "list" else _fetch(message, workshop, line)
            # What asked for an address that it may not reach is not to be trusted to be whole, also when something swallowed that.
            if workshop.guard.refused_address is not None:
                raise JobFailed("address_not_allowed", workshop.guard.refused_address)
            return answer


@contextlib.contextmanager
def _within(directory: str, max_bytes: int, workshop: Workshop) -> Iterator[None]:
    process.limit_file_size(max_bytes)
    # Temporary files of any library fall with the job's directory.
    tempfile.tempdir = directory
    os.environ["TMPDIR"] = directory  # a worker's environment is its own; ffmpeg and deno look there
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(workshop.state_directory)


def _fetch(message: dict[str, Any], workshop: Workshop, line: Line) -> dict[str, Any]:
    spec = JobSpec.from_message(message)
    with _within(spec.directory, spec.max_bytes + _SLACK, workshop):
        result = Job(spec, workshop, _Talk(line)).run()
    return {"event": "stopped"} if result is None else {"event": "done", **result}


def _list(message: dict[str, Any], workshop: Workshop, line: Line) -> dict[str, Any]:
    spec = ListSpec.from_message(message)
    with _within(spec.directory, _MAX_LOOK, workshop):
        return {"event": "listed", **Listing(spec, workshop, _Talk(line)).run()}
