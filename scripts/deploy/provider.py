"""The provider `databricks/databricks` that Terraform runs here: the real one, or the stand-in."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from scgpt_databricks.infra.settings.state import OLDEST_TERRAFORM
from scgpt_databricks.local_workspace.stand_in_provider.mirror import (
    SOURCE,
    VERSION,
    write_mirror,
    write_terraformrc,
)
from scgpt_databricks.local_workspace.stand_in_provider.rest import ProviderError
from scgpt_databricks.whole_file import write_text

_LIMIT_S = 20.0
_HOLDS_S = 15 * 60.0
"""An answer is asked for again after this time: networks come and go."""

_INSTALLING = f"- Installing {SOURCE} v{VERSION}"
_OF_A_MIRROR = "(unauthenticated)"
_OVERRIDDEN = re.compile(rf"^ - {re.escape(SOURCE)} in (.+)$", re.MULTILINE)
_PATH = re.compile(r'"?\bpath"?\s*[=:]\s*"([^"]+)"')


@dataclass(frozen=True)
class Provider:
    """The provider that was found."""

    kind: Literal["registry", "mirror", "dev_overrides", "stand-in"]
    """``mirror`` is a place that the user configured; the stand-in is for the local workspace."""
    terraformrc: Path | None = None
    """File for TF_CLI_CONFIG_FILE; None where Terraform's own default is right."""
    place: str | None = None
    """Its folder; None where it comes over the network or out of a zip file."""

    @property
    def version(self) -> str:
        """Return the version; nobody knows that of an override."""
        return "of your own" if self.kind == "dev_overrides" else VERSION

    @property
    def label(self) -> str:
        """Return the provider's name for output that has to say which one ran."""
        return f"{SOURCE} {self.version} ({self.kind})"

    def environment(self) -> dict[str, str]:
        """Return the variables with which Terraform and cdktf run this provider.

        cdktf would ask the public registry for checksums, whatever mirror is configured, and would
        link what it runs into a cache of the home folder, from which other projects take it.
        """
        variables = {
            "CHECKPOINT_DISABLE": "1",
            "CDKTF_SKIP_PROVIDER_LOCK": "true",
            "CDKTF_DISABLE_PLUGIN_CACHE_ENV": "true",
            "TF_CLI_CONFIG_FILE": str(self.terraformrc or ""),  # empty counts as unset
        }
        if self.kind == "stand-in":
            variables["TF_PLUGIN_CACHE_DIR"] = ""
        return variables


def find_provider(folder: Path, python: Path, *, refresh: bool = False) -> Provider:
    """Find out which provider serves, and remember the answer for a while.

    A mirror named by SCGPT_PROVIDER_MIRROR is taken first, then what the user's own configuration
    of Terraform or the public registry offers. Where nothing does, the stand-in is set up, to run
    with the interpreter ``python``. The folder holds the answer and the stand-in's mirror. A change
    of configurations or of local mirrors makes the answer void.

    Raises
    ------
    ProviderError
        SCGPT_PROVIDER_MIRROR is set and does not have the provider, an override cannot be
        initialised, or there is no Terraform.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cache, asked = folder / "provider.json", _surroundings(folder)
    provider = None if refresh else _remembered(cache, asked)
    if provider is None:
        provider = _find(folder)
        content = {"asked": asked, "at": time.time(), "provider": asdict(provider)}
        write_text(cache, json.dumps(content, indent=2, default=str) + "\n")
    if provider.kind == "stand-in":
        written = write_mirror(folder, python)
        provider = replace(provider, terraformrc=written.terraformrc, place=str(written.mirror))
    return provider


def _remembered(cache: Path, asked: dict[str, Any]) -> Provider | None:
    try:
        content = json.loads(cache.read_text())
    except (OSError, ValueError):
        return None
    age = time.time() - content.get("at", 0)
    if content["asked"] != asked or not 0 <= age < _HOLDS_S:
        return None
    kept = content["provider"]
    terraformrc = Path(kept["terraformrc"]) if kept["terraformrc"] else None
    return Provider(kept["kind"], terraformrc, kept["place"])


def _surroundings(folder: Path) -> dict[str, Any]:
    """Return all on which the answer depends, but the network."""
    own, named = _own_configuration(folder), os.environ.get("SCGPT_PROVIDER_MIRROR")
    home = Path("~").expanduser()
    files = [own] if own else [home / ".terraformrc", *home.glob(".terraform.d/*.tfrc*")]
    texts = [path.read_text() for path in files if path.is_file()]
    mirrors = [*([named] if named else []), *_PATH.findall("\n".join(texts)), *_implied()]
    packages = {
        str(path)
        for mirror in mirrors
        for path in Path(mirror).expanduser().glob(f"*/{SOURCE}/**/*")
    }
    return {
        "version": VERSION,
        "mirror": named,
        "config": own and str(own),
        # The files may hold tokens of registries.
        "texts": [hashlib.sha256(text.encode()).hexdigest() for text in texts],
        "packages": sorted(packages),
    }


def _implied() -> Iterator[str]:
    """Yield the folders in which Terraform looks where nothing is configured."""
    yield "~/.terraform.d/plugins"
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    yield from (f"{data}/terraform/plugins" for data in (home, *shared.split(":")))
    yield from (f"{root}/Library/Application Support/io.terraform/plugins" for root in ("~", ""))


def _own_configuration(folder: Path) -> Path | None:
    """Return the file that the user names for Terraform; one that we wrote is not theirs."""
    path = Path(os.environ.get("TF_CLI_CONFIG_FILE") or os.devnull).expanduser().resolve()
    return path if path.is_file() and path != (folder / "terraformrc").resolve() else None


def _find(folder: Path) -> Provider:
    if named := os.environ.get("SCGPT_PROVIDER_MIRROR"):
        mirror = Path(named).expanduser()
        found = _offered(write_terraformrc(folder, mirror))
        if found is None:
            raise ProviderError(
                f"SCGPT_PROVIDER_MIRROR={mirror} does not have {SOURCE} {VERSION} for this "
                "machine: fill it with `terraform providers mirror`, or unset the variable"
            )
        return found
    return _offered(_own_configuration(folder)) or Provider("stand-in")


def _offered(terraformrc: Path | None) -> Provider | None:
    """Try which provider `terraform init` gets; a download still going at the limit counts."""
    needed = {"databricks": {"source": SOURCE, "version": VERSION}}
    with tempfile.TemporaryDirectory(prefix="provider-") as scratch:
        main = Path(scratch, "main.tf.json")
        main.write_text(json.dumps({"terraform": {"required_providers": needed}}))
        done, said = _init(scratch, terraformrc)
        if overridden := _OVERRIDDEN.search(said):
            if not done:
                raise ProviderError(
                    f"dev_overrides of your Terraform configuration put {overridden[1]} in the "
                    f"place of {SOURCE}, but `terraform init` needs {SOURCE} {VERSION} beside it, "
                    "and gets it from nowhere: give a mirror in the same file, or set "
                    "TF_CLI_CONFIG_FILE to one without dev_overrides"
                )
            return Provider("dev_overrides", terraformrc, overridden[1])
        if not done:
            return None
        if _OF_A_MIRROR not in said:
            return Provider("registry", terraformrc)
        installed = next(Path(scratch).glob(f".terraform/providers/*/{SOURCE}/*/*"))
        # Below the mirror: host, namespace, type, version, platform.
        place = str(installed.resolve().parents[4]) if installed.is_symlink() else None
        return Provider("mirror", terraformrc, place)


def _init(scratch: str, terraformrc: Path | None) -> tuple[bool, str]:
    """Run `terraform init` as a new project of this user would, and return what it says."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TF_") or name.startswith("TF_TOKEN_")
    }
    environment |= {"CHECKPOINT_DISABLE": "1", "TF_REGISTRY_DISCOVERY_RETRY": "0"}
    environment |= {"TF_REGISTRY_CLIENT_TIMEOUT": "10"}
    if terraformrc:
        environment["TF_CLI_CONFIG_FILE"] = str(terraformrc)
    try:
        result = subprocess.run(
            ["terraform", "init", "-input=false", "-no-color"],
            cwd=scratch,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise ProviderError(
            f"no `terraform` on the PATH; version {OLDEST_TERRAFORM} or newer is needed"
        ) from error
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        return _INSTALLING in said, said
    return result.returncode == 0, result.stdout.decode(errors="replace")
