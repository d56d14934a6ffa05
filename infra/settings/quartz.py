"""Schedules in Quartz' notation: six or seven fields, seconds first."""

from __future__ import annotations

import re

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("seconds", 0, 59, ()),
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, _DAYS),
    ("year", 1970, 2099, ()),
)
_LAST = {
    "day of month": re.compile(r"L|LW|L-([1-9]|[12]\d|30)|([1-9]|[12]\d|3[01])W"),
    "day of week": re.compile(rf"L|([1-7]|{'|'.join(_DAYS)})(L|#[1-5])"),
}
"""The last day, the nearest weekday, the third Friday."""


def check(schedule: str) -> str:
    """Refuse a schedule that the platform would refuse, which is at the end of a deploy.

    Raises
    ------
    ValueError
        Names the field and what it may hold.
    """
    fields = schedule.upper().split(" ")
    if len(fields) not in (6, 7):
        raise ValueError(
            "must be a Quartz schedule of 6 or 7 fields, seconds first, such as '0 5 * * * ?'"
        )
    if (fields[3] == "?") == (fields[5] == "?"):
        raise ValueError("day of month or day of week must be '?', and not both")
    for field, (name, low, high, words) in zip(fields, _FIELDS, strict=False):
        if field == "?" and name in _LAST:
            continue
        if not all(_is_item(item, name, low, high, words) for item in field.split(",")):
            named = f" or {words[0]}-{words[-1]}" if words else ""
            raise ValueError(
                f"{name} must be {low}-{high}{named}, * or a range, list or step of it"
            )
    return schedule


def _is_item(item: str, name: str, low: int, high: int, words: tuple[str, ...]) -> bool:
    if name in _LAST and _LAST[name].fullmatch(item):
        return True
    span, slash, step = item.partition("/")
    if slash and not _is_number(step, 1, high):
        return False
    ends = span.split("-")
    return span == "*" or (
        len(ends) <= 2 and all(end in words or _is_number(end, low, high) for end in ends)
    )


def _is_number(text: str, low: int, high: int) -> bool:
    return re.fullmatch(r"[0-9]{1,4}", text) is not None and low <= int(text) <= high
