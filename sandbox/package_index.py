"""A package index on loopback (PEP 503) that serves wheels made while it runs: what `pip` installs from in tests."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import importlib.metadata
import io
import re
import threading
import zipfile
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

VERSION_FILE = "yt_dlp/version.py"


class PackageIndex:
    """Serves from `with` on. `asked` are the paths of all requests, in their order; while `answers` is not set, none gets an answer."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self._wheels: dict[str, bytes] = {}
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """As `PIP_INDEX_URL` takes it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/simple/"

    def add(self, name: str, version: str, wheel: bytes) -> None:
        """Serve this wheel too."""
        self._wheels[f"{name.replace('-', '_')}-{version}-py3-none-any.whl"] = wheel

    def add_ytdlp(self, version: str, *, solver: str = "0.8.0", changed: Mapping[str, str] | None = None) -> None:
        """As `ytdlp_wheel` makes it."""
        self.add("yt-dlp", version, ytdlp_wheel(version, solver=solver, changed=changed))

    def add_solver(self, version: str) -> None:
        """The installed solver scripts under another version."""
        self.add("yt-dlp-ejs", version, wheel_of("yt-dlp-ejs", version, installed_files("yt-dlp-ejs", "yt_dlp_ejs/")))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                index.answers.wait()
                content, kind = index._answer(unquote(self.path))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                with contextlib.suppress(OSError):  # who asked may have gone
                    self.wfile.write(content or b"")

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 - the base class's name

        return Handler

    def _answer(self, path: str) -> tuple[bytes | None, str]:
        if path.startswith("/wheels/"):
            return self._wheels.get(path.removeprefix("/wheels/")), "application/octet-stream"
        project = path.removeprefix("/simple/").strip("/").replace("-", "_")
        wheels = [wheel for wheel in self._wheels if wheel.partition("-")[0] == project]
        links = "".join(f'<a href="/wheels/{html.escape(wheel)}">{html.escape(wheel)}</a>\n' for wheel in sorted(wheels))
        return (f"<!DOCTYPE html><html><body>{links}</body></html>".encode() if wheels else None), "text/html"


def ytdlp_wheel(version: str, *, solver: str = "0.8.0", changed: Mapping[str, str] | None = None) -> bytes:
    """The installed yt-dlp under another version; `changed` is what its files end with, by path."""
    files = installed_files("yt-dlp", "yt_dlp/")
    files[VERSION_FILE] = re.sub(rb"'\d+\.\d+\.\d+'", repr(version).encode(), files[VERSION_FILE])
    files |= {path: files[path] + b"\n" + text.encode() for path, text in (changed or {}).items()}
    return wheel_of("yt-dlp", version, files, (f"yt-dlp-ejs=={solver}; extra == 'default'",))


def installed_files(package: str, below: str) -> dict[str, bytes]:
    """What an installed package consists of, by path."""
    files = importlib.metadata.distribution(package).files or []
    return {str(file): file.read_binary() for file in files if str(file).startswith(below) and file.suffix != ".pyc"}


def wheel_of(name: str, version: str, files: Mapping[str, bytes], requires: tuple[str, ...] = ()) -> bytes:
    """A wheel of pure Python."""
    about = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = "".join(f"Requires-Dist: {one}\n" for one in requires)
    extras = "Provides-Extra: default\n" if requires else ""
    contents = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{extras}{metadata}".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: sandbox\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in contents.items()]
    contents[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,"]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path, content in contents.items():
            archive.writestr(path, content)
    return packed.getvalue()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
