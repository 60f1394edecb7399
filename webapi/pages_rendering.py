"""How pages look: their templates, the headers that all of them carry, and errors as pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import RootModel

from webapi.problems import ErrorShape, Problem

_HERE: Final = Path(__file__).parent
_PAGE_POLICY: Final = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
HEADERS: Final = {
    "Content-Security-Policy": "; ".join(f"{what} {where}" for what, where in _PAGE_POLICY.items()),
    "Cache-Control": "no-store",
    # Nothing goes to other sites, as with `no-referrer`. But under that one browsers send forms with `Origin: null` to our own pages
    # too, and by plain HTTP, where they send no `Sec-Fetch-Site`, no form could be told from a foreign one.
    "Referrer-Policy": "same-origin",
}
"""On every page, and on every redirect between them."""


class PageText(RootModel[str]):
    """A page."""


class Look:
    """Renders templates. Every value is escaped, and one that is missing is an error."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, auto_reload=False, trim_blocks=True
        )

    def page(self, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any) -> web.Response:
        text = self._templates.get_template(template).render(values)
        # What was typed may hold lone surrogates, which UTF-8 cannot carry.
        body = text.encode("utf-8", "replace")
        return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers={**HEADERS, **(headers or {})})


class PageErrors(ErrorShape):
    """One sentence for a person, and the way on."""

    def __init__(self, look: Look) -> None:
        self._look = look

    def content(self, status: int) -> tuple[str, type[RootModel[str]]]:
        del status
        return "text/html", PageText

    def body(self, problem: Problem) -> Mapping[str, Any]:
        sentence = "You are no longer signed in." if problem.status == web.HTTPUnauthorized.status_code else problem.sentence
        return {"title": problem.title, "sentence": sentence}

    def render(self, problem: Problem) -> web.Response:
        return self._look.page("problem.html", status=problem.status, headers=problem.headers, **self.body(problem))
