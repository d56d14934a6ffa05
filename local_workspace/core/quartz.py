"""Quartz cron expressions, in which alerts and jobs say when they run.

``seconds minutes hours day-of-month month day-of-week [year]``. Understood: ``*``, ``?``, lists,
ranges, steps, names of months and days, and ``L`` as day of the month.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import invalid

_MONTHS = {name.upper(): i for i, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: i for i, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_HORIZON_DAYS = 366 * 5
_LAST = 0
"""Stands for the last day of the month."""


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: dict[str, int]

    def parse(self, text: str) -> frozenset[int]:
        """The values that a field allows.

        Raises
        ------
        ValueError
            It is not understood.
        """
        found: set[int] = set()
        for part in text.upper().split(","):
            span, _, step = part.partition("/")
            if span in ("*", "?"):
                first, last = self.low, self.high
            else:
                start, dash, end = span.partition("-")
                first = self._value(start)
                last = self._value(end) if dash else (self.high if step else first)
            if first > last or (step and int(step) < 1):
                raise ValueError(part)
            found.update(range(first, last + 1, int(step or 1)))
        return frozenset(found)

    def _value(self, text: str) -> int:
        value = self.names[text] if text in self.names else int(text)
        if not self.low <= value <= self.high and value != self.names.get("L"):
            raise ValueError(text)
        return value


_FIELDS = (
    _Field("seconds", 0, 59, {}),
    _Field("minutes", 0, 59, {}),
    _Field("hours", 0, 23, {}),
    _Field("day of month", 1, 31, {"L": _LAST}),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 1, 7, _WEEKDAYS),
    _Field("year", 1970, 2199, {}),
)


@dataclass(frozen=True)
class Cron:
    """A parsed expression in a time zone."""

    fields: tuple[frozenset[int], ...]
    zone: ZoneInfo

    @classmethod
    def parse(cls, expression: object, timezone: object) -> Cron:
        """Parse an expression.

        Parameters
        ----------
        timezone
            Name in the IANA database, for example ``Europe/Berlin``.

        Raises
        ------
        ApiError
            400 naming the field that is not understood.
        """
        try:
            zone = ZoneInfo(str(timezone))
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise invalid(f"timezone_id {timezone!r} is no time zone: use UTC, ...") from error
        parts = str(expression).split()
        if len(parts) not in (6, 7):
            raise invalid(
                f"Quartz cron expression {expression!r} must have 6 or 7 fields: seconds minutes "
                "hours day-of-month month day-of-week [year]. Hourly is '0 0 * * * ?'."
            )
        if (parts[3] == "?") == (parts[5] == "?"):
            raise invalid(
                f"Quartz cron expression {expression!r}: exactly one of day-of-month and "
                "day-of-week must be '?'."
            )
        parsed = []
        for field, text in zip(_FIELDS, [*parts, "*"], strict=False):
            try:
                parsed.append(field.parse(text))
            except ValueError as error:
                raise invalid(
                    f"Quartz cron expression {expression!r}: {field.name} {text!r} is not "
                    f"understood; values go from {field.low} to {field.high}."
                ) from error
        return cls(tuple(parsed), zone)

    def next_ms(self, after_ms: int) -> int | None:
        """The first time after `after_ms`, both in UTC milliseconds; ``None`` within five years."""
        after = datetime.fromtimestamp(after_ms / 1000, self.zone)
        for offset in range(_HORIZON_DAYS):
            day = after.date() + timedelta(days=offset)
            if not self._runs_on(day):
                continue
            for moment in self._times():
                local = datetime.combine(day, moment, self.zone)
                utc = local.astimezone(UTC)
                exists = utc.astimezone(self.zone).time() == moment  # not skipped by summer time
                if exists and utc.timestamp() * 1000 > after_ms:
                    return int(utc.timestamp() * 1000)
        return None

    def _runs_on(self, day: date) -> bool:
        days, months, weekdays, years = self.fields[3:]
        last = calendar.monthrange(day.year, day.month)[1]
        in_month = day.day in days or (_LAST in days and day.day == last)
        weekday = day.isoweekday() % 7 + 1  # Sunday is 1
        return in_month and day.month in months and weekday in weekdays and day.year in years

    def _times(self) -> list[time]:
        seconds, minutes, hours = (sorted(field) for field in self.fields[:3])
        return [time(h, m, s) for h in hours for m in minutes for s in seconds]
