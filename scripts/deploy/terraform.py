"""Terraform, run on one synthesised stack."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scgpt_databricks.infra.errors import DeployError, RefusedError
from scgpt_databricks.infra.plan import Plan

Report = Callable[[str], None]

PLAN_FILE = "deploy.tfplan"


NOTHING: Mapping[str, str] = MappingProxyType({})


def import_blocks(found: Mapping[str, str]) -> str:
    """Return import blocks in Terraform's JSON syntax, from address -> id."""
    entries = [{"to": address, "id": identifier} for address, identifier in sorted(found.items())]
    return json.dumps({"import": entries}, indent=2) + "\n"


class ApplyError(DeployError):
    """An apply stopped half way; what it had done until then stays."""


@dataclass(frozen=True)
class Terraform:
    """One stack's folder, and the environment to run Terraform in."""

    folder: Path
    """Holds the synthesised ``cdk.tf.json``."""
    environment: Mapping[str, str] = field(repr=False)
    """All variables of the child process."""
    report: Report
    """Receives one line per resource while an apply goes on."""

    @property
    def stack(self) -> str:
        return self.folder.name

    def init(self, *, forget_lock: bool) -> None:
        """Install the provider and connect to the state.

        ``forget_lock`` drops the checksums of an earlier provider: those of the stand-in change
        with the place it is installed from.
        """
        if forget_lock:
            (self.folder / ".terraform.lock.hcl").unlink(missing_ok=True)
        self._must("init", "-input=false", "-no-color")

    def plan(
        self,
        *,
        destroy: bool = False,
        imports: Mapping[str, str] = NOTHING,
        targets: Iterable[str] = (),
    ) -> Plan:
        """Plan into a file of the folder; take over ``imports`` (address -> id) as well.

        Where addresses are given as ``targets``, all else is left out.

        Raises
        ------
        RefusedError
            When a protected resource would be destroyed.
        DeployError
            When Terraform or the provider fails.
        """
        taken = self.folder / "taken.tf.json"
        if imports:
            taken.write_text(import_blocks(imports))
        else:
            taken.unlink(missing_ok=True)  # left by an earlier plan
        arguments = ["-input=false", f"-out={PLAN_FILE}", *(["-destroy"] if destroy else [])]
        arguments += [f"-target={address}" for address in targets]
        problems = [
            _diagnostic(event) for event in self._events("plan", *arguments) if _is_error(event)
        ]
        if problems:
            text = self._with_way_out("\n".join(problems))
            if "Instance cannot be destroyed" in text:
                raise RefusedError(
                    f"{self.stack}: deletion protection refuses the plan:\n{text}\n"
                    "Undo the change. Where the loss is meant: turn deletion_protection off, "
                    "deploy, then destroy."
                )
            raise DeployError(f"{self.stack}: terraform plan failed:\n{text}")
        return Plan.of(json.loads(self._must("show", "-json", PLAN_FILE)))

    def apply(self) -> None:
        """Apply the plan of the file.

        Raises
        ------
        ApplyError
            When a change fails; those before it were made.
        """
        problems = []
        for event in self._events("apply", "-input=false", PLAN_FILE):
            if _is_error(event):
                problems.append(_diagnostic(event))
            elif line := _progress(event):
                self.report(f"{self.stack}: {line}")
        self.forget_plan()
        if problems:
            text = self._with_way_out("\n".join(problems))
            raise ApplyError(f"{self.stack}: terraform apply failed:\n{text}")

    def forget_plan(self) -> None:
        """Remove the plan's file."""
        (self.folder / PLAN_FILE).unlink(missing_ok=True)

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the state, as ``terraform show -json`` has them."""
        state = json.loads(self._must("show", "-json"))
        found: list[dict[str, Any]] = (
            state.get("values", {}).get("root_module", {}).get("resources", [])
        )
        return found

    def ids(self) -> frozenset[str]:
        """Return the ids of everything in the state."""
        return frozenset(str(each["values"].get("id")) for each in self.resources())

    def take(self, address: str, identifier: str) -> None:
        """Take something that exists into the state.

        Raises
        ------
        DeployError
            When Terraform does not find it.
        """
        self._must("import", "-input=false", "-no-color", address, identifier)

    def take_anew(self, address: str, identifier: str) -> None:
        """Forget what the state says of a resource and read it from the workspace.

        Raises
        ------
        DeployError
            When Terraform does not find it; the state is as before then.
        """
        before = self._must("state", "pull")
        self._must("state", "rm", "-no-color", address)
        try:
            self.take(address, identifier)
        except BaseException:  # when it is interrupted, too
            # The state there has a higher serial by now: force is needed.
            self._push(before, "-force")
            raise

    def edit_state(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Write into the state what no import reads.

        Raises
        ------
        DeployError
            When the state cannot be read or written.
        """
        state = json.loads(self._must("state", "pull"))
        edit(state)
        self._push(json.dumps({**state, "serial": state["serial"] + 1}))

    def _push(self, state: str, *options: str) -> None:
        # Coloured, its words on a lock are not found.
        self._must("state", "push", "-no-color", *options, "-", stdin=state)

    def _must(self, *arguments: str, stdin: str = "") -> str:
        done = self._run(*arguments, stdin=stdin)
        if done.returncode != 0:
            said = self._with_way_out(done.stderr.strip())
            if "remote state endpoint requires auth" in said:
                said += "\nSet TF_HTTP_USERNAME and TF_HTTP_PASSWORD"
            raise DeployError(f"{self.stack}: terraform {arguments[0]} failed:\n{said}")
        return done.stdout

    def _with_way_out(self, text: str) -> str:
        """Add what to do where another run has locked the state."""
        if "state lock" not in text or not (found := re.search(r"\bID[=:]\s*([\w-]+)", text)):
            return text
        # With state behind HTTP, a second ID follows: of the lock that this run wanted.
        return (
            f"{text}\nAnother run has locked the state: wait until it is done. Where its process "
            f"no longer exists, run `terraform force-unlock {found[1]}` in {self.folder}"
        )

    def _run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        with (
            self._started(*arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process,
            self._ended(process),
        ):
            out, err = process.communicate(stdin)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def _started(self, *arguments: str, stdin: int, stderr: int) -> subprocess.Popen[str]:
        """Start Terraform in a process group of its own.

        In the group of a terminal or a pipeline it would get a second signal, at which it stops
        without saving.
        """
        return subprocess.Popen(
            ["terraform", *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            process_group=0,
        )

    @contextmanager
    def _ended(self, process: subprocess.Popen[str]) -> Iterator[None]:
        """Pass an interruption on to Terraform, and wait for it."""
        try:
            yield
        except BaseException:
            process.send_signal(signal.SIGINT)
            with suppress(OSError, SystemExit):  # a terminal that is gone takes no line
                self.report(f"{self.stack}: interrupted; Terraform is saving its state")
            try:
                process.communicate()
            except BaseException:
                process.send_signal(signal.SIGINT)  # told twice, it stops at once
                raise
            raise

    def _events(self, command: str, *arguments: str) -> Iterator[dict[str, Any]]:
        """Yield the events that Terraform reports while it works.

        A failure that left no diagnostic becomes one.
        """
        failed = False
        with (
            self._started(
                command, "-json", *arguments, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT
            ) as process,
            self._ended(process),
        ):
            assert process.stdout is not None
            unparsed = []
            for line in process.stdout:
                try:
                    event = json.loads(line)
                except ValueError:
                    unparsed.append(line.strip())
                    continue
                failed = failed or _is_error(event)
                yield event
        if process.returncode != 0 and not failed:
            text = "\n".join(unparsed) or f"exit code {process.returncode}"
            yield {"type": "diagnostic", "diagnostic": {"severity": "error", "summary": text}}


def _is_error(event: Mapping[str, Any]) -> bool:
    return event.get("type") == "diagnostic" and event["diagnostic"]["severity"] == "error"


def _diagnostic(event: Mapping[str, Any]) -> str:
    diagnostic = event["diagnostic"]
    parts = [diagnostic.get("address"), diagnostic["summary"], diagnostic.get("detail")]
    return "  " + ": ".join(part.strip() for part in parts if part)


def _progress(event: Mapping[str, Any]) -> str | None:
    hook = event.get("hook", {})
    match event.get("type"):
        case "apply_start":
            return f"{hook['resource']['addr']}: {hook['action']}"
        case "apply_progress":
            return f"{hook['resource']['addr']}: still going after {hook['elapsed_seconds']:.0f} s"
        case "apply_complete":
            return f"{hook['resource']['addr']}: done in {hook['elapsed_seconds']:.0f} s"
    return None
