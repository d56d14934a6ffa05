"""Files that appear whole or not at all, and targets that are refused beforehand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scgpt_databricks.whole_file import TargetError, check_target, draft, write_text


class Stop(Exception):  # noqa: N818 - stands for a kill
    pass


def stop_after(_: object) -> None:
    raise Stop


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "result"
    target.write_text("before")
    with pytest.raises(Stop), draft(target) as path:
        stop_after(path.write_text("half"))
    assert (target.read_text(), list(tmp_path.iterdir())) == ("before", [target])
    with draft(target) as path:
        path.write_text("whole")
        assert target.read_text() == "before"
    assert (target.read_text(), list(tmp_path.iterdir())) == ("whole", [target])


def test_a_link_stays_a_link_and_modes_stay(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    real, link = tmp_path / "store" / "result", tmp_path / "link"
    real.write_text("before")
    real.chmod(0o640)
    link.symlink_to(real)
    write_text(link, "after")
    assert link.is_symlink()
    assert (real.read_text(), real.stat().st_mode & 0o777) == ("after", 0o640)
    write_text(tmp_path / "new", "x")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o666 & ~umask


def test_long_names_have_drafts_too(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 125 + ".json")
    write_text(target, "x")
    assert target.read_text() == "x"


def loop(folder: Path) -> Path:
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    return folder / "a"


def below_a_file(folder: Path) -> Path:
    (folder / "file").write_text("x")
    return folder / "file" / "deep" / "result"


def protected(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (lambda folder: folder, "is a folder"),
        (below_a_file, "lies below .*file, which is a file"),
        (protected, "is no ordinary file"),
        (loop, "cannot be written"),
        (lambda folder: folder / ("x" * 300), "cannot be written: .*name too long"),
        (lambda folder: Path("/proc/result"), "cannot be written"),
    ],
    ids=["folder", "below a file", "pipe", "loop of links", "long name", "no files here"],
)
def test_targets_that_cannot_be_written(target: object, words: str, tmp_path: Path) -> None:
    assert callable(target)
    path = target(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(TargetError, match=words):
        check_target(path)
    assert sorted(tmp_path.iterdir()) == before


_AS_NOBODY = """
import os, sys, pathlib
from scgpt_databricks.whole_file import TargetError, check_target
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
for name in sys.argv[1:]:
    try:
        check_target(pathlib.Path(name))
    except TargetError as error:
        print(error)
"""


def test_without_the_right_to_write(tmp_path: Path) -> None:
    """Somebody without rights asks: root has them all."""
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "closed").mkdir(mode=0o555)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "file").write_text("x")
    (tmp_path / "open" / "file").chmod(0o444)
    names = [str(tmp_path / name) for name in ("closed/new", "open/file", "open/new")]
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, *names], capture_output=True, text=True, check=True
    )
    assert "closed/new cannot be written" in done.stdout
    assert "open/file is write-protected" in done.stdout
    assert "open/new" not in done.stdout


def test_no_space(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"needs about 1,000,000\.0 GB, and .* are free in"):
        check_target(tmp_path / "new folder" / "result", 10**15)
    check_target(tmp_path / "new folder" / "result", 10)
    assert list(tmp_path.iterdir()) == []
