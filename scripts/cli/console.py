"""Speak to the user: steps with their time on stderr, the result on stdout, one line per error."""

from __future__ import annotations

import difflib
import importlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from .extras import require_extra

if TYPE_CHECKING:
    from scgpt_databricks.infra.guards import Finding

    from ..release.steps import Outcome

err = Console(stderr=True, highlight=False)
out = Console(highlight=False)

F = TypeVar("F", bound=Callable[..., Any])

LONGEST_SHORT_HELP = 62
"""Characters of a command's first sentence; beside its name it fits a line of 80."""

REFUSED = 3
"""Exit code of what a gate, a guard, a review or an adoption refuses."""

_ALIKE = 0.7
_ENDS = (signal.SIGTERM, signal.SIGHUP)
_LINE_SECONDS = 10.0  # between lines of progress where stderr is no terminal


def json_option(command: F) -> F:
    """Take ``--json``, for the result as one JSON object on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        command
    )


def show(
    result: Mapping[str, Any],
    as_json: bool,
    text: str | Text,
    then: str | Sequence[str],
    *,
    piped: bool = False,
) -> None:
    """Print a result: as JSON for programs, as text for people; and what comes next.

    With ``piped`` another program or a page takes the text: what comes next goes to stderr.
    """
    if as_json:
        click.echo(json.dumps({**result, "next": then}, indent=2, sort_keys=True, default=str))
        return
    if text:
        out.print(text, soft_wrap=True, markup=False)
    for line in [then] if isinstance(then, str) else then:
        (err if piped else out).print(f"next: {line}", soft_wrap=True, markup=False)


def judged(finding: Finding, where: str = "") -> Text:
    """Return a line on what a guard says: red for a refusal, yellow for a warning."""
    style = "bold red" if finding.severity == "refuse" else "yellow"
    return Text(f"{finding.severity}: {where}{finding}", style)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    """Return a table whose cells fold; their text is taken as it is."""
    found = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in columns:
        found.add_column(column, overflow="fold")
    for row in rows:
        found.add_row(*map(escape, row))
    return found


def steps_done(steps: Sequence[Outcome]) -> str:
    """Return a line for each step of an operation on versions, and how it ended."""
    widest = max(len(step.name) for step in steps)
    return "\n".join(f"{step.name:{widest}}  {step.state}" for step in steps)


def reporter() -> Callable[[str], None]:
    """Return a function that prints progress on stderr, with the seconds since the start."""
    started = time.monotonic()

    def report(line: str) -> None:
        err.print(f"{time.monotonic() - started:6.1f} s  {line}", markup=False, soft_wrap=True)

    return report


@contextmanager
def step(title: str, seconds: dict[str, float] | None = None, key: str = "") -> Iterator[None]:
    """Show one step and its time."""
    err.print(f"[bold]>[/bold] {title}")
    started = time.perf_counter()
    yield
    took = time.perf_counter() - started
    if seconds is not None:
        seconds[key or title] = round(took, 2)
    err.print(f"  [green]done[/green] in {took:.1f} s")


class _Rate(ProgressColumn):
    """Shows how many are done in a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Yield ``update(done, total)``; from its first call on, a progress bar shows.

    Where stderr is no terminal, a line now and then says the same.
    """
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=err, transient=True)
    task = bar.add_task(title, total=None)
    said, before = 0.0, -1

    def update(done: int, total: int) -> None:
        nonlocal said, before
        bar.update(task, completed=done, total=total)
        now = time.monotonic()
        if err.is_terminal:
            bar.start()
        elif before < 0:  # what an earlier run had done tells nothing about this one's rate
            said, before = now, done
        elif now - said > _LINE_SECONDS and done > before:
            rate = (done - before) / (now - said)
            left = (total - done) / rate
            err.print(f"  {title}: {done:,} of {total:,}, {rate:,.0f}/s, {left:,.0f} s left")
            said, before = now, done

    try:
        yield update
    finally:
        if bar.live.is_started:  # stopping ends a line, even one that was never begun
            bar.stop()


class Group(click.Group):
    """A group that names the commands that a mistyped one may have meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        typed, known = args[0], self.list_commands(ctx)
        if typed not in known and not typed.startswith("-"):
            meant = " or ".join(
                repr(name) for name in difflib.get_close_matches(typed, known, cutoff=_ALIKE)
            )
            ctx.fail(f"No such command {typed!r}." + (f" Did you mean {meant}?" if meant else ""))
        return super().resolve_command(ctx, args)


class Commands(Group):
    """A group in sections. It imports a command when it is called; its errors end in one line.

    Parameters
    ----------
    sections
        Title in the help -> name of a command -> its ``module:attribute`` in this package.
    extras
        Name of a command -> extra of the distribution without which it cannot run.
    """

    def __init__(
        self,
        *args: Any,
        sections: Mapping[str, Mapping[str, str]] | None = None,
        extras: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._sections, self._extras = sections or {}, extras or {}
        self._lazy = {k: v for section in self._sections.values() for k, v in section.items()}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        extra = self._extras.get(name or "")
        if extra and not {*rest} & {*ctx.help_option_names}:
            require_extra(f"scgpt {name}", extra)
        return name, command, rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._lazy:
            return super().get_command(ctx, name)
        module, attribute = self._lazy[name].split(":")
        found = importlib.import_module(f".{module}", __package__)
        command: click.Command = getattr(found, attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, self._lazy), default=0)
        for title, names in self._sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(widest), self._short_help(ctx, name)) for name in names]
                )

    def _short_help(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        assert command is not None
        return command.get_short_help_str(LONGEST_SHORT_HELP)

    def main(self, args: Sequence[str] | None = None, *more: Any, **kwargs: Any) -> NoReturn:
        given = sys.argv[1:] if args is None else list(args)
        kwargs["standalone_mode"] = False
        try:
            with _orderly_end():
                sys.exit(super().main(given, *more, **kwargs) or 0)
        except click.Abort as error:
            # Click hides Ctrl-C in it. A question that is answered by no, or by nobody, has none.
            if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
                message, code = "interrupted", 128 + signal.SIGINT
            else:
                message, code = "not confirmed; nothing was changed", 1
            err.print(message)
            kind = "Aborted"
        except click.ClickException as error:
            error = _with_options(error)
            error.show()
            message, code, kind = error.format_message(), error.exit_code, type(error).__name__
        except Exception as error:
            if not isinstance(error, _expected()):
                raise
            message, code = str(error), getattr(error, "exit_code", 1)
            if isinstance(error, TimeoutError):  # the SDK's says neither who nor what to do
                message = f"the workspace stopped answering: {error}. Run the command again"
            err.print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)
            kind = getattr(error, "code", type(error).__name__)
        if "--json" in given:
            told = {"code": kind, "message": message, "exit_code": code}
            click.echo(json.dumps({"error": told}, indent=2, sort_keys=True))
        sys.exit(code)


def _with_options(error: click.ClickException) -> click.ClickException:
    """Name a command's options where a mistyped one hardly resembles any."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return error
    params = error.ctx.command.get_params(error.ctx)
    known = sorted(each.opts[0] for each in params if isinstance(each, click.Option))
    if difflib.get_close_matches(error.option_name, known, cutoff=_ALIKE):
        return error
    return click.UsageError(f"{error.message} There are: {', '.join(known)}.", error.ctx)


@contextmanager
def _orderly_end() -> Iterator[None]:
    """Let the limit of a job and a closed terminal end a command like Ctrl-C.

    The command tidies up. The exit code is the shell's, 128 and the signal's number.
    """

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    # One that is ignored stays so, as `nohup` wants it; only the main thread may set any.
    ours = [each for each in _ENDS if signal.getsignal(each) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for each in ours:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each in ours:
            signal.signal(each, signal.SIG_DFL)


def _expected() -> tuple[type[Exception], ...]:
    """Return the errors that are messages to the user; any other is a defect with a traceback."""
    from scgpt_databricks.infra.errors import InfraError
    from scgpt_databricks.local_workspace.server.instance import WorkspaceError
    from scgpt_databricks.local_workspace.stand_in_provider.rest import ProviderError
    from scgpt_databricks.model.errors import ScgptError
    from scgpt_databricks.whole_file import TargetError

    # A workspace refuses through its clients. Those that were never imported cannot have raised.
    clients = (
        ("mlflow.exceptions", "MlflowException"),
        ("databricks.sdk.errors", "DatabricksError"),
    )
    loaded = [
        getattr(sys.modules[module], name) for module, name in clients if module in sys.modules
    ]
    ours = (InfraError, WorkspaceError, ProviderError, ScgptError, TargetError)
    return (*ours, TimeoutError, *loaded)
