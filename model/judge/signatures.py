"""Tell whether a client of one version may talk to another: one rule, with reasons.

It reads the signature as MLflow's ``ModelSignature.to_dict()`` gives it. The other version must
understand what the client sends, and still give what it reads:

- inputs: a column, a property or a parameter that the other version does not know is dropped in
  silence or refused; one that is newly required is missing; a type may only become wider.
- parameters: another default changes the answers of every client that leaves it out.
- outputs: the same the other way round; more columns do no harm.

Types become wider as MLflow converts them: ``integer`` to ``long`` and ``double``, ``float`` to
``double``, anything to ``any``; parameters also ``long`` to ``double`` and whole numbers to
``float``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

_WIDER = {"integer": {"long", "double"}, "float": {"double"}}
_WIDER_PARAMS = {
    "integer": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
}


@dataclass(frozen=True)
class Difference:
    """One difference between two signatures.

    Parameters
    ----------
    place
        ``input``, ``param`` or ``output``, and the name: ``input packed``.
    sentence
        What changed and what that does to a client.
    breaks
        Clients of the old version cannot go on.
    """

    place: str
    sentence: str
    breaks: bool = True


@dataclass(frozen=True)
class Compatibility:
    """All differences; compatible if none of them breaks clients."""

    differences: tuple[Difference, ...]

    @property
    def compatible(self) -> bool:
        """Tell whether clients of the old version may talk to the new one."""
        return not self.breaking

    @property
    def breaking(self) -> tuple[Difference, ...]:
        """The differences that break clients."""
        return tuple(each for each in self.differences if each.breaks)


def compare(old: Json, new: Json) -> Compatibility:
    """Compare two signatures from the side of a client that was written for `old`.

    Parameters
    ----------
    old, new
        ``ModelSignature.to_dict()``: ``inputs``, ``outputs`` and ``params``, each a JSON string or
        None.
    """
    return Compatibility(
        (
            *_inputs(_read(old, "inputs"), _read(new, "inputs")),
            *_params(_read(old, "params") or {}, _read(new, "params") or {}),
            *_outputs(_read(old, "outputs"), _read(new, "outputs")),
        )
    )


def _read(signature: Json, part: str) -> dict[str, Json] | None:
    """Return the columns of one part by name; those without a name by position."""
    text = signature.get(part)
    if text is None:
        return None
    fields = json.loads(text) if isinstance(text, str) else text
    return {str(field.get("name", f"#{i}")): field for i, field in enumerate(fields)}


def _inputs(old: dict[str, Json] | None, new: dict[str, Json] | None) -> Iterator[Difference]:
    if new is None:
        return
    if old is None:
        yield Difference("input", "Inputs were free and are checked now; clients may be refused.")
        return
    for name, column in old.items():
        place = f"input {name}"
        if name not in new:
            yield Difference(
                place, f"{name} was removed; the model would never see what clients send in it."
            )
            continue
        if _required(new[name]) and not _required(column):
            yield Difference(place, f"{name} is required now; clients may leave it out.")
        yield from _retyped(place, sent=column, read=new[name])
    yield from _added("input", new, old)


def _params(old: dict[str, Json], new: dict[str, Json]) -> Iterator[Difference]:
    for name, param in old.items():
        place, now = f"param {name}", new.get(name)
        if now is None:
            yield Difference(place, f"{name} was removed; MLflow ignores it in silence.")
            continue
        same_shape = _shape(param) == _shape(now)
        if not (same_shape and _accepts(param, now, widening=_WIDER_PARAMS)):
            yield Difference(place, f"{name} was {_words(param)} and is {_words(now)}.")
        elif param.get("default") != now.get("default"):
            yield Difference(
                place,
                f"the default of {name} was {param.get('default')!r} and is "
                f"{now.get('default')!r}; clients that leave it out get other answers.",
            )
    yield from _added("param", new, old)


def _outputs(old: dict[str, Json] | None, new: dict[str, Json] | None) -> Iterator[Difference]:
    if old is None:
        return
    if new is None:
        yield Difference("output", "The outputs are no longer declared; clients rely on them.")
        return
    for name, column in old.items():
        place = f"output {name}"
        if name not in new:
            yield Difference(place, f"{name} was removed; clients that read it fail.")
            continue
        if _required(column) and not _required(new[name]):
            yield Difference(place, f"{name} may be missing now; clients count on it.")
        yield from _retyped(place, sent=new[name], read=column, reader_is_old=True)
    yield from _added("output", new, old)


def _added(part: str, new: dict[str, Json], old: dict[str, Json]) -> Iterator[Difference]:
    for name in (name for name in new if name not in old):
        if part == "input" and _required(new[name]):
            yield Difference(f"input {name}", f"{name} is new and required; clients lack it.")
        else:
            yield Difference(f"{part} {name}", f"{name} is new; clients need not know it.", False)


def _retyped(
    place: str, *, sent: Json, read: Json, reader_is_old: bool = False
) -> Iterator[Difference]:
    old, new = (read, sent) if reader_is_old else (sent, read)
    if _words(old) != _words(new):
        fits = _accepts(sent, read, more_is_fine=reader_is_old)
        broken = "clients cannot read that" if reader_is_old else "what clients send may not fit"
        end = "it still fits" if fits else broken
        name = place.partition(" ")[2]
        yield Difference(place, f"{name} was {_words(old)} and is {_words(new)}; {end}.", not fits)


def _accepts(
    sent: Json,
    read: Json,
    *,
    more_is_fine: bool = False,
    widening: Mapping[str, set[str]] = _WIDER,
) -> bool:
    """Tell whether every value of type `sent` is one of type `read`.

    Parameters
    ----------
    more_is_fine
        The reader ignores properties that it does not know. Clients do, MLflow's check of inputs
        refuses them.
    """
    given, wanted = sent["type"], read["type"]
    if wanted == "any":
        return True
    if given != wanted:
        return wanted in widening.get(given, ())

    def inner(key: str) -> bool:
        return _accepts(sent[key], read[key], more_is_fine=more_is_fine, widening=widening)

    if given == "array":
        return inner("items")
    if given == "map":
        return inner("values")
    if given == "object":
        return _accepts_object(sent["properties"], read["properties"], more_is_fine)
    if given == "tensor":
        return _accepts_tensor(sent["tensor-spec"], read["tensor-spec"])
    return True


def _accepts_object(sent: Json, read: Json, more_is_fine: bool) -> bool:
    if not more_is_fine and not set(sent) <= set(read):
        return False
    for name, wanted in read.items():
        if name not in sent:
            if _required(wanted):
                return False
        elif (_required(wanted) and not _required(sent[name])) or not _accepts(
            sent[name], wanted, more_is_fine=more_is_fine
        ):
            return False
    return True


def _accepts_tensor(sent: Json, read: Json) -> bool:
    """Tell whether dtype and rank are the same and each fixed length of the reader is kept."""
    return (
        sent["dtype"] == read["dtype"]
        and len(sent["shape"]) == len(read["shape"])
        and all(b in (-1, a) for a, b in zip(sent["shape"], read["shape"], strict=True))
    )


def _required(field: Json) -> bool:
    return bool(field.get("required", True))


def _shape(param: Json) -> list[int] | None:
    shape = param.get("shape")
    return None if shape is None else list(shape)


def _words(field: Json) -> str:
    """Return a type as people write it: ``array<object<a: long, b?: map<any>>>``."""
    kind = field["type"]
    if kind == "array":
        return f"array<{_words(field['items'])}>"
    if kind == "map":
        return f"map<{_words(field['values'])}>"
    if kind == "object":
        properties = (
            f"{name}{'' if _required(each) else '?'}: {_words(each)}"
            for name, each in sorted(field["properties"].items())
        )
        return f"object<{', '.join(properties)}>"
    if kind == "tensor":
        spec = field["tensor-spec"]
        return f"tensor<{spec['dtype']}, {list(spec['shape'])}>"
    return f"list of {kind}" if _shape(field) else str(kind)
