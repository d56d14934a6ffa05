"""``ai_query``: rows of a statement are asked of the workspace's own endpoints.

The process of a statement has no token and no network. It hands each question to the server, which
asks as the caller, through the door that every query of an endpoint takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ..core.errors import ApiError
from ..core.workspace import Principal, Workspace
from ..serving import invocations
from .errors import SqlError

_ARGUMENTS = ("endpoint", "request", "returntype", "failonerror")
_FAILED = "AI_FUNCTION_HTTP_REQUEST_ERROR"
_OF_OURS = re.compile(rf"\[{_FAILED}\].*", re.DOTALL)

Asked = tuple[str, bytes]
"""Name of an endpoint, and the body for it."""
Answer = tuple[int, bytes]
"""Status and body."""
Send = Callable[[Asked], Answer]
Ask = Callable[[Asked], Coroutine[Any, Any, Answer]]


@dataclass(frozen=True)
class Question:
    """One ``ai_query`` of a statement.

    Parameters
    ----------
    function
        Name of the function that stands for it.
    endpoint
        Who is asked.
    fails
        An answer that is none ends the statement; else it is a value of the row.
    """

    function: str
    endpoint: str
    fails: bool

    def put(self, request: str, send: Send) -> str:
        """Return the answer for one row, as JSON.

        Raises
        ------
        SqlError
            There is none, and `fails` is set.
        """
        try:
            found = self._line(request, send)
        except SqlError as error:
            if self.fails:
                raise
            return json.dumps({"result": None, "errorMessage": str(error)})
        return json.dumps(found if self.fails else {"result": found, "errorMessage": None})

    def _line(self, request: str, send: Send) -> Any:
        record = json.loads(request)
        if not isinstance(record, dict):
            raise self._error(
                "the request is no struct; name the model's input columns: "
                "named_struct('packed', packed)."
            )
        status, body = send((self.endpoint, json.dumps({"dataframe_records": [record]}).encode()))
        text = body.decode(errors="replace")
        if status != 200:
            raise self._error(f"{self.endpoint} answered {status}: {_message(text)}")
        lines = json.loads(text).get("predictions")
        if not isinstance(lines, list) or len(lines) != 1:
            many = len(lines) if isinstance(lines, list) else "no"
            raise self._error(f"{self.endpoint} gave {many} answers for one row; it must be one.")
        return lines[0]

    def _error(self, reason: str) -> SqlError:
        return SqlError(f"[{_FAILED}] ai_query: {reason}")


def asks(tree: exp.Expr) -> Iterator[exp.Anonymous]:
    """Yield the calls of ``ai_query`` in a tree."""
    for function in tree.find_all(exp.Anonymous):
        if function.name.lower() == "ai_query":
            yield function


def translate(tree: exp.Expr) -> tuple[Question, ...]:
    """Replace each ``ai_query`` in a tree by a function of its own and a cast of its answer.

    Raises
    ------
    SqlError
        An argument is missing, is no literal, or is not known here.
    """
    found = []
    for number, call in enumerate(list(asks(tree))):
        given = _arguments(call)
        fails = given.get("failonerror", exp.true())
        if not isinstance(fails, exp.Boolean):
            raise _wrong("failOnError must be true or false.")
        question = Question(f"ai_query_{number}", _text(given, "endpoint"), bool(fails.this))
        kind = _type_of(_text(given, "returnType"))
        if not question.fails:
            kind = exp.DataType.build(
                f"STRUCT<result {kind.sql('databricks')}, errorMessage STRING>", "databricks"
            )
        request = exp.func("to_json", given["request"].copy(), dialect="duckdb")
        asked = exp.Anonymous(this=question.function, expressions=[exp.cast(request, "TEXT")])
        call.replace(exp.Paren(this=_read(asked, kind)))
        found.append(question)
    return tuple(found)


def add(connection: duckdb.DuckDBPyConnection, questions: tuple[Question, ...], send: Send) -> None:
    """Give a database the functions of a statement's questions."""
    for question in questions:
        # Side effects: DuckDB asks for each row, and never ahead of time.
        connection.create_function(
            question.function, _put(question, send), ["VARCHAR"], "VARCHAR", side_effects=True
        )


def asker(workspace: Workspace, principal: Principal) -> Ask:
    """Return the function that asks endpoints for a principal."""

    async def ask(asked: Asked) -> Answer:
        try:
            response = await invocations.ask(workspace, principal, *asked)
        except ApiError as error:
            return error.status, json.dumps({"message": error.message}).encode()
        return response.status_code, bytes(response.body)

    return ask


def _put(question: Question, send: Send) -> Callable[[str], str]:
    return lambda request: question.put(request, send)


def said(error: duckdb.Error) -> SqlError:
    """Return an error of DuckDB as a statement's; what an endpoint said stands alone."""
    ours = _OF_OURS.search(str(error))
    return SqlError(ours[0] if ours else f"[{type(error).__name__}] {error}")


def _arguments(call: exp.Anonymous) -> dict[str, exp.Expr]:
    given: dict[str, exp.Expr] = {}
    for place, each in enumerate(call.expressions):
        named = isinstance(each, exp.Kwarg)
        name = (
            each.this.name.lower()
            if named
            else _ARGUMENTS[place]
            if place < len(_ARGUMENTS)
            else str(place)
        )
        if name not in _ARGUMENTS:
            raise _wrong(
                f"{each.sql('databricks')} is of models that take no columns, or unknown; allowed "
                "are endpoint, request, returnType and failOnError."
            )
        given[name] = each.expression if named else each
    if "request" not in given:
        raise _wrong("the request is missing: ai_query(endpoint, request, returnType => ...).")
    return given


def _text(given: dict[str, exp.Expr], name: str) -> str:
    value = given.get(name.lower())
    if not (isinstance(value, exp.Literal) and value.is_string):
        raise _wrong(f"{name} must be given, as a literal text.")
    return str(value.this)


def _type_of(text: str) -> exp.DataType:
    try:
        return exp.DataType.build(text, dialect="databricks")
    except SqlglotError as error:
        raise _wrong(f"returnType {text!r} is no type.") from error


def _read(answer: exp.Expr, kind: exp.DataType) -> exp.Expr:
    """Read JSON as a type: fields that are missing are null, others are left out."""
    if kind.this is exp.DType.TEXT:
        return answer
    shape = exp.Literal.string(json.dumps(_shape(kind)))
    return exp.Anonymous(this="json_transform", expressions=[exp.cast(answer, "JSON"), shape])


def _shape(kind: exp.DataType) -> Any:
    if kind.this is exp.DType.STRUCT:
        return {each.name: _shape(each.args["kind"]) for each in kind.expressions}
    if kind.this is exp.DType.ARRAY:
        return [_shape(kind.expressions[0])]
    return kind.sql(dialect="duckdb")


def _wrong(reason: str) -> SqlError:
    return SqlError(f"[INVALID_PARAMETER_VALUE] ai_query: {reason}")


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:300]
