"""Errors of any kind → what the caller reads. The one place where a status is decided."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel

from service.errors import (
    Conflict,
    FetchFailed,
    Forbidden,
    InvalidAccount,
    InvalidInput,
    InvalidLink,
    InvalidSelection,
    InvalidSettings,
    LimitReached,
    MagpieError,
    NotAuthenticated,
    NotFound,
    Unavailable,
)

NOT_AUTHENTICATED = "Not authenticated"
NOT_PRIVILEGED = "The user doesn't have enough privileges"
_RETRY_LIMIT, _RETRY_UNAVAILABLE = timedelta(seconds=60), timedelta(seconds=2)
"""What `Retry-After` says when the error itself does not know."""

FieldError = dict[str, Any]
"""`{"loc": ["body", "url"], "msg": "…", "type": "…"}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as the outside sees it: no traceback, path or secret. `code` is a stable slug."""

    status: int
    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase

    @property
    def sentence(self) -> str:
        """The problem in one sentence: of several wrong fields, the first with its name."""
        if not self.errors:
            return self.detail
        first = self.errors[0]
        return f"{'.'.join(str(step) for step in first['loc'][1:]) or first['loc'][0]}: {first['msg']}"


class Refused(Exception):
    """The web layer itself turns a request down."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def malformed(detail: str) -> Refused:
    """400: what was sent cannot be read at all."""
    return Refused(Problem(status=400, code="malformed_request", detail=detail))


def not_authenticated() -> Refused:
    return Refused(Problem(status=401, code="not_authenticated", detail=NOT_AUTHENTICATED, headers={"WWW-Authenticate": "Bearer"}))


def unsupported_media_type(accepted: str) -> Refused:
    return Refused(Problem(status=415, code="unsupported_media_type", detail=f"The Content-Type must be {accepted}"))


def invalid(errors: list[FieldError]) -> Refused:
    """422: it can be read, but some values are wrong."""
    return Refused(Problem(status=422, code="validation_error", detail="Some values are not valid", errors=tuple(errors)))


def refused_by_access(status: int) -> Refused:
    """What a caller gets whom the endpoint's access verdict turns away."""
    if status == HTTPStatus.UNAUTHORIZED:
        return not_authenticated()
    if status == HTTPStatus.FORBIDDEN:
        return Refused(Problem(status=403, code="forbidden", detail=NOT_PRIVILEGED))
    return Refused(Problem(status=status, code=_slug(status), detail=HTTPStatus(status).phrase))


def not_found() -> Refused:
    return refused_by_access(404)


def not_ready(state: str) -> Refused:
    """503 while the service starts or stops."""
    return Refused(Problem(status=503, code=state, detail=f"Magpie is {state}; try again in a moment.", headers=_retry(_RETRY_UNAVAILABLE)))


# --- from exceptions ------------------------------------------------------------------------------------------------

_FAMILIES: tuple[tuple[type[MagpieError], int], ...] = (
    (NotAuthenticated, 401),
    (NotFound, 404),
    (Forbidden, 403),
    (Conflict, 409),
    (LimitReached, 429),
    (InvalidSelection, 422),
    (InvalidAccount, 422),
    (InvalidSettings, 422),
    (InvalidLink, 422),
    (InvalidInput, 400),
    (Unavailable, 503),
    (FetchFailed, 500),
)


def status_of(error: type[MagpieError]) -> int:
    """The status that this kind of error is answered with."""
    return next((status for family, status in _FAMILIES if issubclass(error, family)), 500)


def problem_of(error: Exception) -> Problem | None:
    """None when it is no error that anybody foresaw: log it and answer `INTERNAL`."""
    match error:
        case Refused():
            return error.problem
        case MagpieError():
            return _of_magpie(error)
        case web.HTTPException():
            return _of_aiohttp(error)
        case web.RequestPayloadError() | HttpProcessingError():
            return malformed("The request body cannot be read").problem
        case _:
            return None


INTERNAL = Problem(status=500, code="internal_error", detail="Something went wrong on our side")


def _of_magpie(error: MagpieError) -> Problem:
    detail = error.message
    headers: dict[str, str] = {}
    errors: tuple[FieldError, ...] = ()
    if type(error) is Forbidden and error.message == Forbidden().message:
        detail = NOT_PRIVILEGED
    if isinstance(error, LimitReached):
        headers = _retry(error.retry_after or _RETRY_LIMIT)
    if isinstance(error, Unavailable):
        headers = _retry(error.retry_after or _RETRY_UNAVAILABLE)
    if isinstance(error, NotAuthenticated):
        headers = {"WWW-Authenticate": "Bearer"}
    if isinstance(error, InvalidSelection | InvalidAccount | InvalidSettings | InvalidLink):
        errors = ({"loc": ["body", error.field], "msg": error.message, "type": error.code},)
    return Problem(status=status_of(type(error)), code=error.code, detail=detail, errors=errors, headers=headers)


def _of_aiohttp(error: web.HTTPException) -> Problem:
    detail = HTTPStatus(error.status).phrase
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        detail = "The request body is too large"
    kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    return Problem(status=error.status, code=_slug(error.status), detail=detail, headers=kept)


def _slug(status: int) -> str:
    return "body_too_large" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else HTTPStatus(status).phrase.lower().replace(" ", "_")


def _retry(after: timedelta) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(after.total_seconds())))}  # never too early


# --- to bodies ------------------------------------------------------------------------------------------------------


class ErrorShape(ABC):
    """How an endpoint's errors look, whatever raised them: the access check, the body's parsing, the handler, a crash."""

    def status_of(self, status: int) -> int:
        """The status that is sent instead of this one."""
        return status

    @abstractmethod
    def content(self, status: int) -> tuple[str, type[BaseModel]]:
        """Media type and model of the body with this status, for the OpenAPI document."""

    @abstractmethod
    def body(self, problem: Problem) -> Mapping[str, Any]:
        """The body, ready for JSON."""

    def render(self, problem: Problem) -> web.Response:
        status = self.status_of(problem.status)
        media_type, _ = self.content(status)
        # ASCII only: what the caller sent may hold lone surrogates, which UTF-8 cannot carry.
        text = json.dumps(self.body(problem), ensure_ascii=True)
        return web.Response(body=text.encode(), status=status, content_type=media_type, headers=problem.headers)


class ProblemBody(BaseModel):
    """An error (RFC 9457). `code` is stable; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[dict[str, Any]] | None = None


class FieldProblem(BaseModel):
    """One value that is not valid: where it stands, and why."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationBody(BaseModel):
    """All values that are not valid, at once."""

    type: str
    title: str
    status: int
    detail: list[FieldProblem]
    code: str


class Problems(ErrorShape):
    """The shape that all endpoints have unless they say otherwise."""

    media_type: ClassVar[str] = "application/problem+json"

    def content(self, status: int) -> tuple[str, type[BaseModel]]:
        if status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return "application/json", ValidationBody
        return self.media_type, ProblemBody

    def body(self, problem: Problem) -> Mapping[str, Any]:
        body: dict[str, Any] = {"type": "about:blank", "title": problem.title, "status": problem.status}
        if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return body | {"detail": list(problem.errors), "code": problem.code}
        return body | {"detail": problem.detail, "code": problem.code} | ({"errors": list(problem.errors)} if problem.errors else {})


PROBLEMS = Problems()
