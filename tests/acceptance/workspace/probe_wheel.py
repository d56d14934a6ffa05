"""A small wheel whose entry points do what jobs do: work, fail, take long."""

from __future__ import annotations

import io
import zipfile

NAME = "probe-1.0-py3-none-any.whl"

_MODULE = """
import os, sys, time

def main():
    from databricks.sdk import WorkspaceClient
    print("arguments", sys.argv)
    print("user", WorkspaceClient().current_user.me().user_name)
    print("token", os.environ["DATABRICKS_TOKEN"])

def fail():
    print("before")
    raise ValueError("no cells")

def leave():
    sys.exit(3)

def sleep():
    print("asleep")
    time.sleep(600)

def unlisted():
    print("found as a function")
"""
_ENTRY_POINTS = "[console_scripts]\n" + "".join(
    f"{name} = probe:{name}\n" for name in ("main", "fail", "leave", "sleep")
)


def build() -> bytes:
    """The wheel's bytes."""
    info = "probe-1.0.dist-info"
    files = {
        "probe.py": _MODULE,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": _ENTRY_POINTS,
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return buffer.getvalue()
