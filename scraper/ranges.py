"""`RangesFD`: yt-dlp's plain HTTP downloader, but a large file comes over several connections when one alone is slow.

It starts with one connection that asks for the whole file. When that looks slow, more are added (up to 8): each takes the second half of
the largest piece that is still to come, and writes it to its place in the file. Where one connection is enough (a local disk, a fast
link) it stays with one. Any doubt (no ranges, another length, another ETag) ends the sharing, and yt-dlp's own
single stream does the work. Everything goes through `ydl.urlopen`, so headers, cookies and the guard are those of any request.
"""

from __future__ import annotations

import http.client
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from yt_dlp.downloader.http import HttpFD
from yt_dlp.networking import Request, Response
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import parse_http_range

from scraper.digest import RunningDigest

MIN_SIZE = 10 * 1024 * 1024
MAX_CONNECTIONS = 8
_BLOCK = 1024 * 1024
_MAX_BLOCKS = 6
_MIN_SHARE = 256 * 1024
_LOOK_EVERY = 0.12
_FAST = 40 * 1024 * 1024
"""Bytes a second of one connection above which a second one would only divide the same link."""
_TRIES = 4


class _SharingFailed(Exception):
    """The server does not play along: start again with a single stream."""


@dataclass
class _Piece:
    """A stretch of the file that one connection brings: from `at` (moves up) to `end` (moves down when it is shared)."""

    at: int
    end: int
    starts_file: bool = False

    @property
    def left(self) -> int:
        return self.end - self.at


@dataclass
class _Transfer:
    """What the connections share; all of it is guarded by `lock`."""

    total: int
    validator: str | None
    lock: threading.Lock = field(default_factory=threading.Lock)
    pieces: list[_Piece] = field(default_factory=list)
    received: int = 0
    error: BaseException | None = None
    stop: bool = False
    may_grow: bool = True
    digest: RunningDigest = field(default_factory=RunningDigest)

    def share(self) -> _Piece | None:
        """The second half of the largest piece that is worth halving."""
        with self.lock:
            largest = max(self.pieces, key=lambda piece: piece.left, default=None)
            if self.stop or largest is None or largest.left < 2 * _MIN_SHARE:
                return None
            middle = largest.at + largest.left // 2
            taken = _Piece(middle, largest.end)
            largest.end = middle
            self.pieces.append(taken)
            return taken

    def drop(self, piece: _Piece) -> None:
        with self.lock:
            self.pieces.remove(piece)

    def fail(self, error: BaseException) -> None:
        with self.lock:
            self.error = self.error or error
            self.stop = True


class _Primed:
    """A `YoutubeDL` whose first answer is there already: what follows are its own."""

    def __init__(self, ydl: Any, response: Response) -> None:
        self._ydl = ydl
        self._response: Response | None = response

    def urlopen(self, request: Any) -> Response:
        response, self._response = self._response, None
        return self._ydl.urlopen(request) if response is None else response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ydl, name)


class RangesFD(HttpFD):  # type: ignore[misc] # yt-dlp is not typed
    """yt-dlp chooses it for `http` and `https`."""

    FD_NAME = "ranges"
    ydl: Any

    def real_download(self, filename: str, info_dict: dict[str, Any]) -> bool:
        if info_dict.get("request_data") or info_dict.get("impersonate") or "Range" in (info_dict.get("http_headers") or {}):
            return bool(super().real_download(filename, info_dict))
        chunk = (info_dict.get("downloader_options") or {}).get("http_chunk_size") or 0
        try:
            first = self.ydl.urlopen(_request(info_dict, 0, chunk or None, None))
        except (HTTPError, TransportError):
            # Its own loop knows how to wait and try again.
            return bool(super().real_download(filename, info_dict))
        self.ydl.note_answer(first)
        start, _, total = parse_http_range(first.headers.get("Content-Range"))
        if first.status == 206 and start == 0 and total and total >= MIN_SIZE and not first.headers.get("Content-Encoding"):  # noqa: PLR2004
            validator = _validator(first)
            try:
                return self._in_pieces(filename, info_dict, first, _Transfer(total=total, validator=validator), chunk)
            except _SharingFailed:
                Path(self.temp_name(filename)).unlink(missing_ok=True)
                return bool(super().real_download(filename, info_dict))
        if chunk:
            first.close()  # yt-dlp's loop asks for the chunks itself
            return bool(super().real_download(filename, info_dict))
        ydl = self.ydl
        self.ydl = _Primed(ydl, first)
        try:
            return bool(super().real_download(filename, info_dict))
        finally:
            self.ydl = ydl

    def _in_pieces(self, filename: str, info: dict[str, Any], first: Response, transfer: _Transfer, chunk: int) -> bool:
        temporary = self.temp_name(filename)
        began = time.monotonic()
        target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        threads: list[threading.Thread] = []

        def begin(response: Response | None) -> bool:
            piece = _Piece(0, transfer.total, starts_file=True) if response is not None else transfer.share()
            if piece is None:
                return False
            if response is not None:
                transfer.pieces.append(piece)
            connection = _Connection(self.ydl.urlopen, info, transfer, target, chunk)
            thread = threading.Thread(target=connection.run, args=(piece, response), daemon=True)
            threads.append(thread)
            thread.start()
            return True

        try:
            begin(first)
            report = partial(self._report, filename, info, transfer, began, "downloading")
            self._watch(transfer, threads, add=partial(begin, None), report=report)
        finally:
            transfer.stop = True
            for thread in threads:
                thread.join()
            transfer.digest.close()
            os.close(target)
        if transfer.error is not None:
            raise transfer.error
        if transfer.received != transfer.total or Path(temporary).stat().st_size != transfer.total:
            raise _SharingFailed
        self.try_rename(temporary, filename)
        self.ydl.note_digest(filename, transfer.digest)
        self._report(filename, info, transfer, began, "finished")
        return True

    def _watch(self, transfer: _Transfer, threads: list[threading.Thread], *, add: Callable[[], bool], report: Callable[[], None]) -> None:
        """Report, and add connections while it helps: 1, 4, 8. Raises what the progress hooks raise: the bounds."""
        before, best, then = 0, 0.0, time.monotonic()
        while any(thread.is_alive() for thread in threads):
            next(thread for thread in threads if thread.is_alive()).join(_LOOK_EVERY)
            report()
            received, now, alive = transfer.received, time.monotonic(), sum(thread.is_alive() for thread in threads)
            if now - then < _LOOK_EVERY:
                continue
            rate, before, then = (received - before) / (now - then), received, now
            # Not faster than with fewer: the link is full, or the host divides what it gives.
            if alive and transfer.may_grow and len(threads) < MAX_CONNECTIONS and rate / alive < _FAST and rate >= 1.2 * best:
                best = rate
                for _ in range(3 if len(threads) == 1 else MAX_CONNECTIONS - len(threads)):
                    if not add():
                        break

    def _report(self, filename: str, info: dict[str, Any], transfer: _Transfer, began: float, status: str) -> None:
        elapsed = time.monotonic() - began
        speed = transfer.received / elapsed if elapsed > 0 else None
        eta = (transfer.total - transfer.received) / speed if speed else None
        state = {"status": status, "filename": filename, "downloaded_bytes": transfer.received, "total_bytes": transfer.total}
        self._hook_progress({**state, "speed": speed, "eta": eta, "elapsed": elapsed}, info)


class _Connection:
    """One thread: brings its piece, then takes a share of another's."""

    def __init__(self, urlopen: Callable[[Request], Response], info: dict[str, Any], transfer: _Transfer, target: int, chunk: int) -> None:
        self._urlopen = urlopen
        self._info = info
        self._transfer = transfer
        self._target = target
        self._chunk = chunk
        self._blocks = _Blocks()

    def run(self, piece: _Piece | None, response: Response | None) -> None:
        try:
            while piece is not None:
                self._bring(piece, response)
                self._transfer.drop(piece)
                # A host that counts connections gets no new ones.
                piece, response = (self._transfer.share() if self._transfer.may_grow else None), None
        except BaseException as error:  # noqa: BLE001 - a thread's end: it is raised again in the thread that waits
            self._transfer.fail(error)

    def _bring(self, piece: _Piece, response: Response | None) -> None:
        tries = 0
        while piece.left > 0 and not self._transfer.stop:
            at = piece.at
            try:
                response = response or self._open(piece)
                if response is None:
                    return
                self._read(piece, response)
                broken = None
            except TransportError as error:
                broken = error
            finally:
                if response is not None:
                    response.close()
                response = None
            tries = 0 if piece.at > at else tries + 1
            if tries >= _TRIES:
                raise broken or _SharingFailed
            time.sleep(0.2 * 2**tries if tries else 0)

    def _open(self, piece: _Piece) -> Response | None:
        """The answer for what is missing of the piece. Raises `_SharingFailed` when it is not exactly that."""
        for attempt in range(_TRIES):
            end = min(piece.end, piece.at + self._chunk) if self._chunk else piece.end
            try:
                response = self._urlopen(_request(self._info, piece.at, end, self._transfer.validator))
            except HTTPError as answer:
                if answer.status not in {408, 429, 500, 502, 503, 504}:
                    raise _SharingFailed from answer
                # It gets too much: no more connections, and this one waits.
                self._transfer.may_grow = False
                time.sleep(0.3 * 2**attempt)
                if self._transfer.stop:
                    return None
                continue
            start, _, total = parse_http_range(response.headers.get("Content-Range"))
            same = total == self._transfer.total and not _changed(response, self._transfer.validator)
            if response.status != 206 or start != piece.at or not same:  # noqa: PLR2004 - partial content
                response.close()
                raise _SharingFailed
            return response
        raise _SharingFailed

    def _read(self, piece: _Piece, response: Response) -> None:
        read_into = _read_into(response)
        while not self._transfer.stop:
            block = self._blocks.take()
            received = read_into(block)
            if not received:
                self._blocks.give_back(block)
                return  # complete, or a chunk's end: `_bring` sees what is left
            with self._transfer.lock:
                kept = max(0, min(received, piece.left))
                at = piece.at
                piece.at += kept
                self._transfer.received += kept
            _write(self._target, block[:kept], at)
            if piece.starts_file:
                self._transfer.digest.feed(at, block[:kept], done=partial(self._blocks.give_back, block))
            else:
                self._blocks.give_back(block)
            if piece.left <= 0:
                return


class _Blocks:
    """A few blocks of memory that are used again and again: fresh ones would cost more than the copying."""

    def __init__(self) -> None:
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._made = 0

    def take(self) -> memoryview:
        """Waits for one when all of them are still being hashed."""
        if self._made < _MAX_BLOCKS and self._free.empty():
            self._made += 1
            return memoryview(bytearray(_BLOCK))
        return self._free.get()

    def give_back(self, block: memoryview) -> None:
        self._free.put(block)


def _read_into(response: Response) -> Callable[[memoryview], int]:
    """Reads the body into a block: 0 at the end. Straight from the connection where the body is sent as it is."""
    below = getattr(getattr(response, "fp", None), "_fp", None)  # http.client's answer, under urllib3's
    if isinstance(below, http.client.HTTPResponse) and not below.chunked and not response.headers.get("Content-Encoding"):
        return partial(_straight, below)
    return partial(_copied, response)


def _straight(below: http.client.HTTPResponse, block: memoryview) -> int:
    try:
        return below.readinto(block)
    except (OSError, http.client.HTTPException) as broken:
        raise TransportError(cause=broken) from broken


def _copied(response: Response, block: memoryview) -> int:
    read = response.read(len(block))
    block[: len(read)] = read
    return len(read)


def _write(target: int, block: memoryview, at: int) -> None:
    while block:
        written = os.pwrite(target, block, at)
        block, at = block[written:], at + written


def _request(info: dict[str, Any], start: int, end: int | None, validator: str | None) -> Request:
    stretch = f"bytes={start}-{'' if end is None else end - 1}"
    headers = {"Accept-Encoding": "identity", **(info.get("http_headers") or {}), "Range": stretch}
    if validator:
        headers["If-Range"] = validator
    return Request(info["url"], headers=headers)


def _validator(response: Response) -> str | None:
    """What may stand in If-Range: a strong ETag, else the date."""
    etag: str | None = response.headers.get("ETag")
    dated: str | None = response.headers.get("Last-Modified")
    return etag if etag and not etag.startswith("W/") else dated


def _changed(response: Response, validator: str | None) -> bool:
    return bool(validator) and _validator(response) not in {validator, None}
