"""``scgpt ray``: the second serving path, on a Ray cluster of one's own."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scgpt_databricks.whole_file import write_text

from .console import Group, err, json_option, show
from .options import Number, dry_run_option, several

if TYPE_CHECKING:
    from scgpt_databricks.model.ray import Settings

_GIB = 1024**3


_serving_options = several(
    click.argument("model", metavar="MODEL"),
    click.option(
        "--max-models",
        type=click.IntRange(1),
        default=2,
        show_default=True,
        help="Versions that a replica keeps loaded.",
    ),
    click.option(
        "--max-memory",
        type=Number(min=0),
        default=0,
        help="GiB that they take together.  [default: no limit]",
    ),
    click.option(
        "--max-body",
        type=Number(min=0, min_open=True),
        default=16,
        show_default=True,
        help="MiB of a request; more is refused.",
    ),
    click.option(
        "--batch-tokens",
        type=click.IntRange(0),
        default=8192,
        show_default=True,
        help="Tokens of a batch across requests; 0: no batches.",
    ),
    click.option(
        "--split",
        "second",
        metavar="VERSION=PERCENT",
        help="Give a second version a share of the requests that name none.",
    ),
    click.option(
        "--sticky-header",
        metavar="NAME",
        help="Requests with the same value of it stay on one version of the split.",
    ),
    click.option(
        "--log-table",
        metavar="URI",
        default="",
        help="Delta table of requests and answers.",
    ),
    click.option(
        "--replicas",
        metavar="LEAST..MOST",
        default="1..1",
        show_default=True,
        help="Replicas; they follow the load.",
    ),
)


@click.group(cls=Group)
def ray() -> None:
    """Serve a registered model on Ray over typed HTTP.

    \b
    MODEL is NAME, NAME@alias or NAME/version, in the registry that MLflow's
    variables point to; a bare NAME means NAME@champion.
    Example:  scgpt ray serve translation_model/1
              scgpt ray config main.models.scgpt --image IMAGE --out service.yaml
    """


@ray.command()
@_serving_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port of it."
)
@dry_run_option
@json_option
def serve(
    model: str, host: str, port: int, dry_run: bool, as_json: bool, replicas: str, **options: Any
) -> None:
    """Serve MODEL from this machine until Ctrl-C or SIGTERM.

    \b
    Requests that run are answered before it ends. Beyond loopback it wants a
    bearer token in SCGPT_RAY_TOKEN. RAY_ADDRESS names a cluster that runs.
    Example:  scgpt ray serve translation_model/1 --port 8000
              scgpt ray serve main.models.scgpt@champion --split challenger=10
    """
    from scgpt_databricks.model.ray import run
    from scgpt_databricks.model.ray.settings import TOKEN_VARIABLE

    needs_token = not _is_loopback(host)
    if needs_token and not os.environ.get(TOKEN_VARIABLE):
        raise click.UsageError(
            f"--host {host} is reached from other machines, and {TOKEN_VARIABLE} is not set. "
            "Set it to a secret, or listen on 127.0.0.1."
        )
    name, version = run.parse(model)
    settings = _settings(options, require_token=needs_token)
    if not os.environ.get("RAY_ADDRESS"):
        _check_port(host, port)
    run.check(name, version)
    told = {"model": name, "version": version, "url": f"http://{host}:{port}/serve"}
    if dry_run:
        text = f"would serve {name}, version {version}, at {told['url']}"
        show(told, as_json, text, "the same without --dry-run")
        return

    def up(url: str) -> None:
        text = f"{name}, version {version}: {told['url']}, {url}/docs"
        show(told, as_json, text, f"curl {url}/health/ready")

    err.print(f"starting Ray, and loading {name}, version {version}", soft_wrap=True)
    run.run(name, version, settings, host=host, port=port, replicas=_replicas(replicas), up=up)


@ray.command()
@_serving_options
@click.option("--image", required=True, help="Container image with this package, extra ray.")
@click.option("--name", default="scgpt", show_default=True, help="Name of the RayService.")
@click.option(
    "--secret",
    default="scgpt-ray",
    show_default=True,
    help="Kubernetes secret: SCGPT_RAY_TOKEN, and the variables of MLflow's servers.",
)
@click.option("--gpus", type=Number(min=0), default=0, help="GPUs of a replica.")
@click.option("--plain", is_flag=True, help="The Serve config file alone, for `serve deploy`.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@json_option
def config(
    model: str,
    image: str,
    name: str,
    secret: str,
    gpus: float,
    plain: bool,
    out: Path | None,
    as_json: bool,
    replicas: str,
    **options: Any,
) -> None:
    """Write a KubeRay RayService for MODEL, or a Serve config.

    \b
    Its Serve config is checked by Ray's own schema; the cluster is yours.
    Example:  scgpt ray config main.models.scgpt --image IMAGE --out service.yaml
    """
    import yaml  # type: ignore[import-untyped]

    from scgpt_databricks.model.ray import config as configs
    from scgpt_databricks.model.ray.run import parse

    registered, version = parse(model)
    least, most = _replicas(replicas)
    scale = configs.Scale(least=least, most=most, gpus=gpus)
    arguments = configs.Arguments(
        model=registered, default_version=version, settings=_settings(options)
    )
    found = configs.serve_config(arguments, scale)
    if not plain:
        found = configs.ray_service(found, name=name, image=image, secret=secret, scale=scale)
    text = yaml.safe_dump(found, sort_keys=False)
    apply = "serve deploy" if plain else "kubectl apply -f"
    if out is None:
        # Another key would make it another file.
        click.echo(json.dumps(found, indent=2) if as_json else text)
        err.print(f"next: {apply} FILE, the file that holds it", markup=False)
        return
    write_text(out, text)
    show({"file": str(out)}, as_json, f"wrote {out}", f"{apply} {out}")


def _settings(options: dict[str, Any], *, require_token: bool = False) -> Settings:
    from scgpt_databricks.model.ray import Settings, Split

    second, split = options["second"], None
    if second is not None:
        version, found, percent = second.partition("=")
        share = _number(percent)
        if not found or share is None or not 0 < share < 100:
            raise click.BadParameter(
                f"{second!r} is no VERSION=PERCENT with a percentage between 0 and 100, as "
                "challenger=10.",
                param_hint="--split",
            )
        sticky = options["sticky_header"]
        split = Split(version=version, weight=share / 100, sticky_header=sticky)
    elif options["sticky_header"]:
        raise click.UsageError("--sticky-header needs --split VERSION=PERCENT.")
    return Settings(
        max_models=options["max_models"],
        max_model_bytes=int(options["max_memory"] * _GIB),
        max_body_bytes=int(options["max_body"] * 1024 * 1024),
        batch_tokens=options["batch_tokens"],
        split=split,
        log_table=options["log_table"],
        require_token=require_token,
    )


def _replicas(text: str) -> tuple[int, int]:
    least, found, most = text.partition("..")
    ends = (least, most if found else least)
    if not all(end.isdecimal() for end in ends) or not 1 <= int(ends[0]) <= int(ends[1]):
        raise click.BadParameter(
            f"{text!r} is no LEAST..MOST of 1 or more, as 1..4.", param_hint="--replicas"
        )
    return int(ends[0]), int(ends[1])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _check_port(host: str, port: int) -> None:
    """Refuse a port that somebody has, before a cluster starts and fails to listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise click.ClickException(
            f"Port {port} on {host} cannot be listened on: {error.strerror or error}. Name "
            "another --port, or end the program that has it."
        ) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
