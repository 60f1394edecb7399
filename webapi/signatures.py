"""From a handler's signature to the places that its arguments are read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from inspect import Parameter
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from webapi.parameters import FORM, MULTIPART, Body, BodyPart, File, Header, Mark, Part, Path, Query, Raw, Streamed, Value, upload_hint


def parts_of(parameters: Mapping[str, Parameter], hints: Mapping[str, Any], path: str) -> tuple[tuple[Part, ...], BodyPart | None]:
    """Read a handler's parameters (without those that the layer itself supplies). Raises `TypeError` for what cannot be."""
    places: dict[str, list[Value]] = {}
    body: BodyPart | None = None
    for name, parameter in parameters.items():
        mark = _mark(hints[name], name, path)
        if isinstance(mark, Body | Raw):
            if body is not None:
                raise TypeError(f"{name}: there is only one body")
            body = _whole_body(mark, parameter, hints[name])
        else:
            where = "form" if mark.where == "file" else mark.where
            places.setdefault(where, []).append(_value(mark, parameter, hints[name]))
    if form := places.pop("form", None):
        if body is not None:
            raise TypeError("a form's fields and a whole body exclude each other")
        body = _form_body(form)
    return tuple(Part(where=where, values=tuple(found), model=_model(where, found)) for where, found in places.items()), body


def _mark(hint: Any, name: str, path: str) -> Mark:
    marks = [mark for mark in get_args(hint)[1:] if isinstance(mark, Mark)] if get_origin(hint) is Annotated else []
    if marks:
        return marks[0]
    if "{" + name + "}" in path:
        return Path()
    return Body() if _is_model(_plain(hint)) else Query()


def _value(mark: Mark, parameter: Parameter, hint: Any) -> Value:
    name = mark.name or (parameter.name.replace("_", "-") if isinstance(mark, Header) else parameter.name)
    is_file = isinstance(mark, File)
    required = parameter.default is Parameter.empty
    return Value(
        argument=parameter.name,
        name=name,
        hint=_file_hint(hint) if is_file else hint,
        required=required,
        default=None if required else parameter.default,
        many=_is_many(hint),
        is_file=is_file,
    )


def _file_hint(hint: Any) -> Any:
    """The same shape (one, several, optional) of described uploads."""
    one = upload_hint()
    kind = list[one] if _is_many(hint) else one  # type: ignore[valid-type] # a type made at run time
    return kind | None if NoneType in get_args(get_args(hint)[0]) else kind


def _is_many(hint: Any) -> bool:
    return get_origin(_plain(hint)) in {list, tuple, set, frozenset}


def _whole_body(mark: Body | Raw, parameter: Parameter, hint: Any) -> BodyPart:
    required = parameter.default is Parameter.empty
    default = None if required else parameter.default
    if isinstance(mark, Raw):
        adapter = TypeAdapter(mark.model or Any)
        return BodyPart(
            accepts=(mark.media_type,),
            required=required,
            adapter=adapter,
            argument=parameter.name,
            default=default,
            raw=True,
            streamed=isinstance(mark, Streamed),
        )
    fields = _fields_of(_plain(hint)) if {FORM, MULTIPART} & {*mark.accepts} else ()
    return BodyPart(
        accepts=mark.accepts, required=required, adapter=TypeAdapter(hint), argument=parameter.name, default=default, values=fields
    )


def _form_body(found: Sequence[Value]) -> BodyPart:
    has_file = any(value.is_file for value in found)
    return BodyPart(
        accepts=(MULTIPART,) if has_file else (FORM, MULTIPART),
        required=any(value.required for value in found),
        adapter=TypeAdapter(_model("form", found, extra="forbid" if has_file else "ignore")),
        values=tuple(found),
        only_known=has_file,
    )


def _model(where: str, found: Sequence[Value], extra: Literal["forbid", "ignore"] = "ignore") -> type[BaseModel]:
    fields: dict[str, Any] = {
        value.argument: (value.hint, Field(... if value.required else value.default, alias=value.name)) for value in found
    }
    make: Callable[..., type[BaseModel]] = create_model
    return make(where, __config__=ConfigDict(extra=extra, arbitrary_types_allowed=True, protected_namespaces=()), **fields)


def _fields_of(model: type[BaseModel]) -> tuple[Value, ...]:
    """The fields of a model that may come as a form."""
    return tuple(
        Value(argument=name, name=info.alias or name, hint=info.annotation, required=info.is_required(), many=_is_many(info.annotation))
        for name, info in model.model_fields.items()
    )


def _plain(hint: Any) -> Any:
    """The type without `Annotated` and without `| None`."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    if get_origin(hint) in {Union, UnionType}:
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return _plain(kinds[0]) if len(kinds) == 1 else hint
    return hint


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind))
