"""Write ``docs/parameters.md``: every param of a request, and every argument of ``embed``.

``python -m scgpt_databricks.scripts.parameters`` writes it anew from the code.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scgpt_databricks.model.client import embed
from scgpt_databricks.model.client.how import How
from scgpt_databricks.model.contract import Param
from scgpt_databricks.model.scgpt.params import PARAMS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "parameters.md"

_HEAD = """\
# Parameters

Written by `python -m scgpt_databricks.scripts.parameters` from the code; a test says if it is
current.

## Params of a request

The `params` of a request to the model, in the order of its MLflow signature. Unknown names and
other values are refused with a sentence. What each means: [wire format](wire-format.md#params).
"""

_MIDDLE = """\

## Arguments of `embed`

`embed(adata, endpoint, *, ...)` of `scgpt_databricks`; the command `scgpt embed` goes the same way
with a file. Every param above that fits cell embeddings may be given by its own name, too.
"""


def page() -> str:
    """Return the text of the page."""
    rows = [_param(param) for param in PARAMS]
    table = _table(("name", "type", "default", "allowed", "tasks"), rows)
    arguments = "\n".join(_arguments())
    return f"{_HEAD}\n{table}\n{_MIDDLE}\n{arguments}"


def _param(param: Param) -> tuple[str, ...]:
    kind = f"list of {param.dtype}" if param.is_list else param.dtype
    default = _code(param.default)
    if param.default is None:
        default = "by the request" if param.dtype != "long" else "the checkpoint's"
    return (_code(param.name), kind, default, _allowed(param), ", ".join(param.tasks) or "all")


def _allowed(param: Param) -> str:
    if param.allowed:
        return ", ".join(map(_code, param.allowed))
    if param.least is None:
        return ""
    return f"{param.least} or more" if param.most is None else f"{param.least} .. {param.most}"


def _code(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in ("", ()) else "empty"


def _arguments() -> Iterator[str]:
    """Yield the text on each argument of ``embed``, with its default."""
    told = {**_described(embed), **_described(How)}
    defaults = inspect.signature(embed).parameters
    for names, text in told.items():
        known = [name for name in names.split(", ") if name in defaults]
        if names.startswith("**") or not known or "As ``How`` says" in text:
            continue
        given = [(name, defaults[name].default) for name in known]
        values = ", ".join(
            f"`{name}`" if value is inspect.Parameter.empty else f"`{name}={value!r}`"
            for name, value in given
        )
        yield f"**{values}**\n{_wrapped(text)}\n"


def _described(thing: Any) -> dict[str, str]:
    """Return what a docstring in numpy's style says of each parameter."""
    text = inspect.getdoc(thing) or ""
    part = re.split(r"\n\n(?:Raises|Returns|Warns)\n-+\n", text.partition("Parameters\n")[2])[0]
    found: dict[str, str] = {}
    name = ""
    for line in part.splitlines()[1:]:
        if line and not line.startswith(" "):
            name = line.strip()
            found[name] = ""
        elif name:
            found[name] += f"{line.strip()} "
    return found


def _wrapped(text: str) -> str:
    plain = text.replace("``", "`").strip()
    return "\n".join(textwrap.wrap(plain, 118, break_long_words=False, break_on_hyphens=False))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
