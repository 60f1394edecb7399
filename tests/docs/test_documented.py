"""Every setting, command and route is documented, every link leads somewhere, and what must stay out stays out."""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from magpie.app import Service
from magpie.cli import app
from magpie.config import PREFIX, Config
from webapi.contract import Api

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("magpie", "bot", "webapi", "scraper", "storage", "service", "sandbox", "auto_download_client.py")
COMMANDS = sorted(name for name in app if not name.startswith("-"))
FORBIDDEN = re.compile(r"/work/|\.\./shared|pypi\.org|files\.pythonhosted\.org|registry\.npmjs\.org|deb\.debian\.org")
"""Places of the machine that this was made on, and addresses of package registries."""
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def tracked() -> list[Path]:
    """Every file that is in the repository or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(*names: str) -> str:
    return "\n".join((ROOT / name).read_text() for name in names if (ROOT / name).is_file())


# --- settings ---------------------------------------------------------------------------------------------------------


def shown(default: Any) -> str:
    """A default as somebody writes it into the file."""
    match default:
        case None | bool():
            return "" if default is None else str(default).lower()
        case tuple():
            return ",".join(default)
        case timedelta():
            return f"{round(default.total_seconds() / 3600)}h"
        case Path():
            return f"./{default}"
        case int() if default >= 10**9:
            return f"{default // 10**9}GB"
        case _:
            return str(default)


SETTINGS = {f"{PREFIX}{name.upper()}": shown(field.default) for name, field in Config.model_fields.items()}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_in_the_example_file_with_its_default_and_an_explanation(name: str) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    places = [number for number, line in enumerate(lines) if re.match(rf"#?\s*{name}=", line)]
    assert len(places) == 1, f"{name} stands there {len(places)} times"
    value = lines[places[0]].partition("=")[2].strip().strip("\"'")
    assert value == SETTINGS[name]
    before = lines[places[0] - 1] if places[0] else ""
    assert re.match(r"#\s*\w.{10,}", before), f"no explanation above {name}"
    assert not re.match(rf"#?\s*{PREFIX}\w+=", before), f"no explanation above {name}"


def test_the_example_file_names_no_setting_that_does_not_exist() -> None:
    named = set(re.findall(rf"^#?\s*({PREFIX}\w+)=", text_of(".env.example"), re.MULTILINE))
    assert named <= set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_in_the_documentation(name: str) -> None:
    assert re.search(rf"`{name}`", text_of("docs/settings.md"))


# --- commands ---------------------------------------------------------------------------------------------------------


def test_there_are_commands() -> None:
    assert {"run", "download", "doctor"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_documented(name: str) -> None:
    assert re.search(rf"magpie {name}\b", text_of("README.md", "docs/commands.md"))


@pytest.mark.parametrize("target", ["run", "test", "test-all", "check", "bench", "doctor"])
def test_a_target_of_the_makefile_is_there_and_explained(target: str) -> None:
    assert re.search(rf"^{target}:", text_of("Makefile"), re.MULTILINE)
    assert re.search(
        rf"make {target}\b", text_of("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
    )


# --- routes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The endpoints of the real service, which is put together but not started."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield Service(Config(_env_file=None, data_dir=tmp_path / "data")).routes().api()
    finally:
        root.handlers = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)


def test_every_route_is_in_the_documentation(api: Api) -> None:
    documented = text_of("docs/api.md")
    assert len(api.endpoints) > 10
    missing = [f"{endpoint.method} {endpoint.path}" for endpoint in api.endpoints if not _names(documented, endpoint.method, endpoint.path)]
    assert missing == []


def _names(text: str, method: str, path: str) -> bool:
    """`GET /api/jobs/{id}`: the method, and the path with or without its last slash, whatever the name in the braces."""
    pattern = re.sub(r"\\\{[^}]*\\\}", r"\\{[^}]*\\}", re.escape(path))
    return any(re.search(rf"(?<![\w/]){pattern}/?(?![\w/{{])", line) and method in line for line in text.splitlines())


# --- the repository ---------------------------------------------------------------------------------------------------


def test_no_file_names_a_place_of_the_machine_or_a_registry() -> None:
    found = []
    for path in tracked():
        if path == Path(__file__) or "vendor" in path.parts:
            continue
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}:{number}: {hit[0]}" for number, line in enumerate(lines, 1) if (hit := FORBIDDEN.search(line))]
    assert found == []


def test_the_settings_are_read_in_one_place_only() -> None:
    """Worker processes excepted: they have no settings, only the environment that they were started with."""
    readers = {
        str(path.relative_to(ROOT))
        for name in PRODUCT
        for path in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text())
    }
    assert {name for name in readers if not name.startswith("scraper/")} <= {"magpie/config.py"}


def test_the_change_log_has_the_present_version() -> None:
    version = re.search(r'^version = "(.+)"$', text_of("pyproject.toml"), re.MULTILINE)
    assert version
    headings = re.findall(r"^## \[?([\w.]+)", text_of("CHANGELOG.md"), re.MULTILINE)
    assert {"Unreleased", version[1]} & set(headings[:2])


def test_the_licence_is_there() -> None:
    assert text_of("LICENSE").startswith("MIT License")


@pytest.mark.parametrize(
    "page", ["README.md", "CHANGELOG.md", "THREAT_MODEL.md", "docs/api.md", "docs/settings.md", "docs/commands.md", "docs/licences.md"]
)
def test_a_page_is_there(page: str) -> None:
    assert text_of(page).startswith("# ")


def test_every_relative_link_leads_somewhere() -> None:
    broken = [f"{page.relative_to(ROOT)}: {target}" for page in tracked() if page.suffix == ".md" for target in _broken(page)]
    assert broken == []


def _broken(page: Path) -> Iterator[str]:
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for match in _LINK.finditer(text):
        target = match[1] or match[2]
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(file)):
            yield target


def _anchors(page: Path) -> set[str]:
    """Of its headings, in the spelling that GitHub gives them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
