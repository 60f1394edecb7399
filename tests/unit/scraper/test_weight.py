"""The service's own process stays light: yt-dlp and gallery-dl are loaded in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = "import sys, scraper.fetcher; print(sorted(name for name in ('yt_dlp', 'gallery_dl', 'requests') if name in sys.modules))"


def test_the_fetcher_loads_neither_yt_dlp_nor_gallery_dl() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.strip() == "[]"
