"""The provider `databricks/databricks` that Terraform runs here: the real one, or the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Literal, TypedDict

from scgpt_databricks.infra.settings.state import OLDEST_TERRAFORM
from scgpt_databricks.local_workspace.stand_in_provider.mirror import (
    SOURCE,
    VERSION,
    write_mirror,
    write_terraformrc,
)
from scgpt_databricks.local_workspace.stand_in_provider.rest import ProviderError

_FOUND = f"- Installing {SOURCE} v{VERSION}"
_LIMIT_S = 20.0


@dataclass(frozen=True)
class Provider:
    """The provider that was found."""

    kind: Literal["registry", "mirror", "stand-in"]
    """``mirror`` is a place that the user configured; the stand-in is for the local workspace."""
    version: str
    terraformrc: Path | None
    """File for TF_CLI_CONFIG_FILE; None where Terraform's own default is right."""
    mirror: Path | None = None
    """The folder that `terraformrc` takes the provider from, where we wrote that file."""

    @property
    def label(self) -> str:
        """Return the provider's name for output that has to say which one ran."""
        return f"{SOURCE} {self.version} ({self.kind})"

    def environment(self) -> dict[str, str]:
        """Return the variables with which Terraform and cdktf run this provider."""
        variables = {"CHECKPOINT_DISABLE": "1"}
        if self.terraformrc:
            variables["TF_CLI_CONFIG_FILE"] = str(self.terraformrc)
        if self.mirror:
            # cdktf locks providers before its first init, and would ask the public registry.
            variables["TF_CLI_ARGS_providers_lock"] = f"-fs-mirror={quote(str(self.mirror))}"
        return variables


class _Asked(TypedDict):
    """The surroundings on which the answer depends."""

    mirror: str | None
    config: str | None


def find_provider(folder: Path, python: Path, *, refresh: bool = False) -> Provider:
    """Find out which provider serves, once, and remember the answer.

    A mirror named by SCGPT_PROVIDER_MIRROR is taken first, then what the user's own configuration
    of Terraform (TF_CLI_CONFIG_FILE or the file in the home folder) or the public registry offers.
    Where nothing does, the stand-in is set up, to run with the interpreter ``python``. The folder
    holds the answer and the stand-in's mirror.

    Raises
    ------
    ProviderError
        SCGPT_PROVIDER_MIRROR is set and does not have the provider, or there is no Terraform.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked: _Asked = {
        "mirror": os.environ.get("SCGPT_PROVIDER_MIRROR"),
        "config": _own_configuration(folder),
    }
    cache = folder / "provider.json"
    provider = None if refresh else _remembered(cache, asked)
    if provider is None:
        provider = _find(folder, asked)
    if provider.kind == "stand-in":
        written = write_mirror(folder, python)
        provider = replace(provider, terraformrc=written.terraformrc, mirror=written.mirror)
    content = {"asked": asked, "provider": asdict(provider)}
    cache.write_text(json.dumps(content, indent=2, default=str) + "\n")
    return provider


def _own_configuration(folder: Path) -> str | None:
    """Return the user's configuration file for Terraform; one that we wrote is not theirs."""
    ours = (folder / "terraformrc").resolve()
    for named in (os.environ.get("TF_CLI_CONFIG_FILE"), "~/.terraformrc"):
        path = Path(named or "/dev/null").expanduser().resolve()
        if path.is_file() and path != ours:
            return str(path)
    return None


def _remembered(cache: Path, asked: _Asked) -> Provider | None:
    try:
        content = json.loads(cache.read_text())
    except (OSError, ValueError):
        return None
    if content.get("asked") != asked:
        return None
    kept = content["provider"]
    paths = [Path(kept[name]) if kept[name] else None for name in ("terraformrc", "mirror")]
    lost = any(path and not path.exists() for path in paths)
    if kept["version"] != VERSION or (lost and kept["kind"] != "stand-in"):
        return None
    return Provider(kept["kind"], VERSION, *paths)


def _find(folder: Path, asked: _Asked) -> Provider:
    if asked["mirror"]:
        mirror = Path(asked["mirror"]).expanduser()
        terraformrc = write_terraformrc(folder, mirror)
        if not _offers(terraformrc):
            raise ProviderError(
                f"SCGPT_PROVIDER_MIRROR={mirror} does not have {SOURCE} {VERSION} for this "
                "machine: fill it with `terraform providers mirror`, or unset the variable"
            )
        return Provider("mirror", VERSION, terraformrc, mirror.resolve())
    own = Path(asked["config"]) if asked["config"] else None
    if _offers(own):
        mirrored = own is not None and "provider_installation" in own.read_text()
        return Provider("mirror" if mirrored else "registry", VERSION, own)
    return Provider("stand-in", VERSION, None)


def _offers(terraformrc: Path | None) -> bool:
    """Try if `terraform init` gets the provider; a download still going at the limit counts."""
    kept = ("TF_TOKEN_", "TF_PLUGIN_CACHE_DIR")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TF_") or name.startswith(kept)
    }
    environment |= {"CHECKPOINT_DISABLE": "1", "TF_REGISTRY_DISCOVERY_RETRY": "0"}
    environment |= {"TF_REGISTRY_CLIENT_TIMEOUT": "10"}
    if terraformrc:
        environment["TF_CLI_CONFIG_FILE"] = str(terraformrc)
    needed = {"databricks": {"source": SOURCE, "version": VERSION}}
    with tempfile.TemporaryDirectory(prefix="provider-") as scratch:
        main = Path(scratch, "main.tf.json")
        main.write_text(json.dumps({"terraform": {"required_providers": needed}}))
        try:
            result = subprocess.run(
                ["terraform", "init", "-input=false", "-no-color"],
                cwd=scratch,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LIMIT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise ProviderError(
                f"no `terraform` on the PATH; version {OLDEST_TERRAFORM} or newer is needed"
            ) from error
        except subprocess.TimeoutExpired as error:
            return _FOUND in (error.stdout or b"").decode(errors="replace")
    return result.returncode == 0
