"""Quartz schedules: six or seven fields, seconds first, in which alerts and jobs say when they run.

Settings check them before a deploy and the local workspace runs by them. Both read them here, so
that neither accepts what the other refuses (ADR 9). The rules are those of Quartz' documentation.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_DAY = re.compile(r"L(?:-(?P<before>[1-9]|[12]\d|30))?(?P<last>W?)|(?P<near>[1-9]|[12]\d|3[01])W")
_WEEKDAY = re.compile(rf"(?P<day>[1-7]|{'|'.join(_WEEKDAYS)})(?:L|#(?P<nth>[1-5]))")


@dataclass(frozen=True)
class _Field:
    """One field: its values, and the words that stand for the first of them onwards."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    special: str = ""

    def values(self, text: str) -> tuple[int, ...]:
        """Return the values that a list of numbers, ranges and steps allows, in order."""
        return tuple(sorted({value for item in text.split(",") for value in self._item(item)}))

    def refusal(self) -> ValueError:
        words = f" or {self.words[0]}-{self.words[-1]}" if self.words else ""
        return ValueError(
            f"{self.name} must be {self.low}-{self.high}{words}, * or a range, list or step of "
            f"it{self.special}"
        )

    def _item(self, item: str) -> range | list[int]:
        span, slash, step = item.partition("/")
        first, dash, last = (span or ("*" if slash else "")).partition("-")
        by = self._number(step, 1, self.high) if slash else 1
        if first == "*" and not dash:
            return range(self.low, self.high + 1, by)
        start = self._value(first)
        end = self._value(last) if dash else self.high if slash else start
        if start <= end:
            return range(start, end + 1, by)
        if self.name == "year":
            raise self.refusal()
        # Over the turn of the hour, day or year: 22-2 is 22, 23, 0, 1 and 2.
        size = self.high - self.low + 1
        return [self.low + (n - self.low) % size for n in range(start, end + size + 1, by)]

    def _value(self, text: str) -> int:
        if text in self.words:
            return self.low + self.words.index(text)
        return self._number(text, self.low, self.high)

    def _number(self, text: str, low: int, high: int) -> int:
        if not re.fullmatch(r"[0-9]{1,4}", text) or not low <= int(text) <= high:
            raise self.refusal()
        return int(text)


_SECONDS, _MINUTES = _Field("seconds", 0, 59), _Field("minutes", 0, 59)
_HOURS, _MONTH = _Field("hours", 0, 23), _Field("month", 1, 12, _MONTHS)
_YEAR = _Field("year", 1970, 2099)
_DAY_OF_MONTH = _Field("day of month", 1, 31, special=", or alone one such as L, L-3, LW or 15W")
_DAY_OF_WEEK = _Field("day of week", 1, 7, _WEEKDAYS, ", or alone one such as L, 6L or 6#3")


@dataclass(frozen=True)
class Schedule:
    """A schedule that was read; :func:`parse` makes it.

    The two fields of days stay text: the days of ``LW`` or ``6#3`` depend on the month.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    day_of_month: str
    months: tuple[int, ...]
    day_of_week: str
    years: tuple[int, ...]

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first time after a moment, in the moment's time zone; None if there is none.

        A time of day that the change to summer time leaves out is left out that day.
        """
        now, wall = moment.astimezone(UTC), moment.timetuple()[:6]
        for day in self._days(moment):
            for clock in product(self.hours, self.minutes, self.seconds):
                if (*day, *clock) <= wall:
                    continue
                found = datetime(*day, *clock, tzinfo=moment.tzinfo)
                instant = found.astimezone(UTC)
                if instant > now and instant.astimezone(moment.tzinfo) == found:
                    return found
        return None

    def _days(self, moment: datetime) -> Iterator[tuple[int, int, int]]:
        """Give the days of the schedule, from the moment's own day on."""
        today = (moment.year, moment.month, moment.day)
        for year in self.years:
            for month in self.months:
                if (year, month) >= today[:2]:
                    days = _days_of(self.day_of_month, self.day_of_week, year, month)
                    yield from (day for day in days if day >= today)


def parse(expression: str) -> Schedule:
    """Read a schedule.

    Raises
    ------
    ValueError
        Names the field and what it may hold.
    """
    fields = expression.upper().split()
    if len(fields) not in (6, 7):
        raise ValueError(
            "must be a Quartz schedule of 6 or 7 fields, seconds first, such as '0 5 * * * ?'"
        )
    seconds, minutes, hours, day_of_month, months, day_of_week, years = [*fields, "*"][:7]
    if (day_of_month == "?") == (day_of_week == "?"):
        raise ValueError("day of month or day of week must be '?', and not both")
    schedule = Schedule(
        _SECONDS.values(seconds),
        _MINUTES.values(minutes),
        _HOURS.values(hours),
        day_of_month,
        _MONTH.values(months),
        day_of_week,
        _YEAR.values(years),
    )
    _days_of(day_of_month, day_of_week, 2000, 1)
    return schedule


def _days_of(
    day_of_month: str, day_of_week: str, year: int, month: int
) -> list[tuple[int, int, int]]:
    """Return the days of one month on which a schedule runs."""
    length = calendar.monthrange(year, month)[1]
    if day_of_week == "?":
        days = _by_number(day_of_month, year, month, length)
    else:
        days = _by_weekday(day_of_week, year, month, length)
    return [(year, month, day) for day in days if 1 <= day <= length]


def _by_number(text: str, year: int, month: int, length: int) -> list[int]:
    special = _DAY.fullmatch(text)
    if special is None:
        return list(_DAY_OF_MONTH.values(text))
    day = int(special["near"] or length - int(special["before"] or 0))
    if not (special["near"] or special["last"]) or not 1 <= day <= length:
        return [day]
    # The nearest day from Monday to Friday, which never lies in another month.
    weekday = calendar.weekday(year, month, day)
    if weekday == calendar.SATURDAY:
        return [day - 1 if day > 1 else day + 2]
    if weekday == calendar.SUNDAY:
        return [day + 1 if day < length else day - 2]
    return [day]


def _by_weekday(text: str, year: int, month: int, length: int) -> list[int]:
    special = _WEEKDAY.fullmatch(text)
    days = special["day"] if special else "7" if text == "L" else text
    wanted = _DAY_OF_WEEK.values(days)
    # Sunday is 1 here, and Monday is 0 to the calendar.
    found = [
        day
        for day in range(1, length + 1)
        if (calendar.weekday(year, month, day) + 1) % 7 + 1 in wanted
    ]
    if special is None:
        return found
    if special["nth"] is None:
        return found[-1:]
    return found[int(special["nth"]) - 1 :][:1]
