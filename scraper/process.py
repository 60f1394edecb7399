"""What a process of the scraper does to itself: die with its parent, stay small, leave its children no way to outlive it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_MAX_DATA = 3 * 1024**3

# Loaded once, before the guard: later the C library can't be had any more. Elsewhere than on Linux there is no prctl.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(parent: int) -> None:
    """SIGKILL for this process when its parent ends, however that happens. At once, when it has ended already."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """What a killed worker leaves for a moment becomes this process's child, so that it is reaped."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bind_children() -> None:
    """Every program that this process starts from now on dies with it: the death signal is not inherited, each child sets its own."""
    start = subprocess.Popen.__init__

    def init(self: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> None:
        parent = os.getpid()
        kwargs["preexec_fn"] = lambda: die_with_parent(parent)
        start(self, *args, **kwargs)

    subprocess.Popen.__init__ = init  # type: ignore[method-assign]


def limit() -> None:
    """For good: no core dumps (they would hold cookies), no private memory without end, files readable by nobody else.

    Not RLIMIT_AS: deno reserves far more addresses than it uses.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_MAX_DATA, _MAX_DATA))


def limit_file_size(size: int) -> None:
    """No file may grow beyond this from now on, whoever writes it: Python, or ffmpeg."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))
