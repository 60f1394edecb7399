"""The programs that the scraper needs beside yt-dlp: where they are, their versions, and what to do when one is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from scraper.extractors import SOLVER, YTDLP, version_in, wanted_solver

_SECONDS = 10
_MIN_DENO = (2, 3, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One program or package. `problem` is None when it is fit for use; `advice` says what to do otherwise."""

    name: str
    version: str | None
    path: str | None
    problem: str | None = None
    advice: str | None = None


class FfmpegMissing(RuntimeError):
    """There is no ffmpeg: neither the system's, nor the one that comes with the installation."""


def find_ffmpeg(search_path: str | None = None) -> Path:
    """The system's ffmpeg when there is one that runs, else the one that comes with the installation. Raises `FfmpegMissing`."""
    system = shutil.which("ffmpeg", path=search_path)
    if system is not None and _said([system, "-version"]):
        return Path(system).resolve()
    try:
        return Path(imageio_ffmpeg.get_ffmpeg_exe()).resolve()
    except RuntimeError as missing:
        raise FfmpegMissing from missing


def find_deno(search_path: str | None = None) -> Path | None:
    """The JavaScript runtime: the one of this environment, else the system's."""
    own = Path(sysconfig.get_path("scripts")) / "deno"
    if os.access(own, os.X_OK):
        return own.resolve()
    beside = Path(sys.executable).parent / "deno"
    if os.access(beside, os.X_OK):
        return beside.resolve()
    system = shutil.which("deno", path=search_path)
    return Path(system).resolve() if system else None


def inventory(place: Path | None = None) -> list[Tool]:
    """yt-dlp, its solver scripts, ffmpeg and deno, for `magpie doctor`. Runs ffmpeg and deno; blocks for up to half a second.

    `place` is the directory of a fresh yt-dlp that is used in place of the environment's.
    """
    return [_ytdlp(place), _ejs(place), _ffmpeg(), _deno()]


def _ytdlp(place: Path | None) -> Tool:
    version = version_in(place) or version_in(None)
    if version is None:
        return Tool(name=YTDLP, version=None, path=None, problem="is not installed", advice="Install Magpie again.")
    return Tool(name=YTDLP, version=version, path=None if place is None else str(place))


def _ejs(place: Path | None) -> Tool:
    version, wanted = version_in(place, SOLVER) or version_in(None, SOLVER), wanted_solver(place)
    if version is None:
        problem = "YouTube's challenges cannot be solved without it"
        return Tool(name=SOLVER, version=None, path=None, problem=problem, advice=f"Install {SOLVER}.")
    if wanted is not None and version != wanted:
        return Tool(name=SOLVER, version=version, path=None, problem=f"this yt-dlp needs {wanted}", advice=f"Install {SOLVER} {wanted}.")
    return Tool(name=SOLVER, version=version, path=None)


def _ffmpeg() -> Tool:
    try:
        path = find_ffmpeg()
    except FfmpegMissing:
        advice = "Install ffmpeg with your system's package manager."
        return Tool(name="ffmpeg", version=None, path=None, problem="nothing can be converted or joined without it", advice=advice)
    match = re.search(r"ffmpeg version (\S+)", _said([str(path), "-version"]))
    if match is None:
        return Tool(name="ffmpeg", version=None, path=str(path), problem="does not run", advice="Install ffmpeg again.")
    return Tool(name="ffmpeg", version=match[1], path=str(path))


def _deno() -> Tool:
    path = find_deno()
    if path is None:
        problem = "many YouTube formats are missing without it"
        return Tool(name="deno", version=None, path=None, problem=problem, advice="Install deno 2.3 or newer.")
    match = re.search(r"deno (\d+)\.(\d+)\.(\d+)", _said([str(path), "--version"]))
    if match is None:
        return Tool(name="deno", version=None, path=str(path), problem="does not run", advice="Install deno 2.3 or newer.")
    version = ".".join(match.groups())
    if tuple(map(int, match.groups())) < _MIN_DENO:
        return Tool(name="deno", version=version, path=str(path), problem="is too old", advice="Install deno 2.3 or newer.")
    return Tool(name="deno", version=version, path=str(path))


def _said(command: list[str]) -> str:
    """What a program prints; empty when it does not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)  # noqa: S603 - our own list
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
