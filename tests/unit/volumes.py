"""A file system like Databricks' /Volumes: writes in order only, no memory maps, no locks.

Run as a program it answers the kernel (FUSE, protocol 7.31) for one mount point, from memory. A
process of its own has to do that: a caller inside HDF5 holds the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_DETACH = 2
_DIRECT_IO = 1  # of an open file: no shared memory maps
_FLAGS = 1 << 3 | 1 << 5 | 1 << 10  # O_TRUNC comes with open; big writes; locks come here, too
_LONGEST = 1 << 17
_IN = struct.Struct("<IIQQIIII")


def can_mount() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and os.access("/dev/fuse", os.W_OK)


@contextmanager
def volume(folder: Path) -> Iterator[Path]:
    """Mount an empty one at a folder."""
    folder.mkdir()
    with subprocess.Popen([sys.executable, __file__, str(folder)]) as server:
        try:
            while not folder.is_mount():
                assert server.poll() is None
                time.sleep(0.01)
            yield folder
        finally:
            _libc().umount2(os.fsencode(folder), _DETACH)
            server.wait(10)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class Refused(Exception):  # noqa: N818 - an answer of the file system
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass
class Node:
    mode: int
    data: bytearray = field(default_factory=bytearray)
    names: dict[bytes, int] = field(default_factory=dict)
    changed: float = field(default_factory=time.time)


class FileSystem:
    """Answers requests of the kernel by their number."""

    def __init__(self) -> None:
        self.nodes = {1: Node(stat.S_IFDIR | 0o777)}
        self.answers = {
            1: self.lookup,
            3: lambda node, _: self.attributes(node),
            4: self.set_attributes,
            9: self.make_folder,
            10: self.remove,
            11: self.remove,
            12: self.rename,
            14: self.open,
            15: self.read,
            16: self.write,
            17: lambda *_: (
                struct.pack("<QQQQQIIII", *[1 << 30] * 5, 4096, 255, 4096, 0) + bytes(24)
            ),
            18: lambda *_: b"",  # release
            20: self.refuse,  # fsync
            25: lambda *_: b"",  # flush
            26: lambda *_: (
                struct.pack("<IIIIHHIIHHI", 7, 31, 1 << 16, _FLAGS, 8, 8, _LONGEST, 1, 1, 0, 0)
                + bytes(28)
            ),
            27: lambda *_: struct.pack("<QII", 0, 0, 0),  # opendir
            28: self.list_folder,
            29: lambda *_: b"",  # releasedir
            35: self.create,
            32: self.refuse,
            33: self.refuse,
        }

    def serve(self, device: int) -> None:
        while True:
            try:
                message = os.read(device, _LONGEST + 4096)
            except OSError:  # unmounted
                return
            _, code, number, node, *_ = _IN.unpack_from(message)
            if code in (2, 42, 36):  # forget, forget many, interrupt: no answer
                continue
            try:
                answer, error = self.answers.get(code, self.unknown)(node, message[_IN.size :]), 0
            except Refused as refused:
                answer, error = b"", refused.number
            os.write(device, struct.pack("<IiQ", 16 + len(answer), -error, number) + answer)

    def unknown(self, *_: object) -> bytes:
        raise Refused(errno.ENOSYS)

    def refuse(self, *_: object) -> bytes:
        raise Refused(errno.EOPNOTSUPP)

    def attributes(self, number: int) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self._stat(number)

    def lookup(self, parent: int, body: bytes) -> bytes:
        name = body.rstrip(b"\0")
        if len(name) > 255:
            raise Refused(errno.ENAMETOOLONG)
        if name not in self.nodes[parent].names:
            raise Refused(errno.ENOENT)
        return self._entry(self.nodes[parent].names[name])

    def set_attributes(self, number: int, body: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", body)
        if valid & 1:  # modes
            raise Refused(errno.EPERM)
        if valid & 8:
            if size:
                raise Refused(errno.EOPNOTSUPP)
            self.nodes[number].data.clear()
        return self.attributes(number)

    def make_folder(self, parent: int, body: bytes) -> bytes:
        return self._entry(self._add(parent, body[8:], stat.S_IFDIR | 0o777))

    def create(self, parent: int, body: bytes) -> bytes:
        number = self._add(parent, body[16:], stat.S_IFREG | 0o666)
        return self._entry(number) + struct.pack("<QII", 0, _DIRECT_IO, 0)

    def open(self, number: int, body: bytes) -> bytes:
        (flags,) = struct.unpack_from("<I", body)
        node = self.nodes[number]
        if flags & os.O_TRUNC:
            node.data.clear()
        elif flags & (os.O_WRONLY | os.O_RDWR) and node.data:
            raise Refused(errno.EOPNOTSUPP)
        return struct.pack("<QII", 0, _DIRECT_IO, 0)

    def read(self, number: int, body: bytes) -> bytes:
        _, start, size = struct.unpack_from("<QQI", body)
        return bytes(self.nodes[number].data[start : start + size])

    def write(self, number: int, body: bytes) -> bytes:
        _, start, size = struct.unpack_from("<QQI", body)
        node = self.nodes[number]
        if start != len(node.data):
            raise Refused(errno.EOPNOTSUPP)
        node.data += body[40 : 40 + size]
        node.changed = time.time()
        return struct.pack("<II", size, 0)

    def remove(self, parent: int, body: bytes) -> bytes:
        names, name = self.nodes[parent].names, body.rstrip(b"\0")
        if name not in names:
            raise Refused(errno.ENOENT)
        if self.nodes[names[name]].names:
            raise Refused(errno.ENOTEMPTY)
        del names[name]
        return b""

    def rename(self, parent: int, body: bytes) -> bytes:
        (target,) = struct.unpack_from("<Q", body)
        before, after = body[8:].split(b"\0")[:2]
        self.nodes[target].names[after] = self.nodes[parent].names.pop(before)
        return b""

    def list_folder(self, number: int, body: bytes) -> bytes:
        _, start, size = struct.unpack_from("<QQI", body)
        found = b""
        for place, (name, node) in enumerate(self.nodes[number].names.items()):
            entry = struct.pack("<QQII", node, place + 1, len(name), self.nodes[node].mode >> 12)
            entry += name + bytes(-len(name) % 8)
            if place >= start and len(found) + len(entry) <= size:
                found += entry
        return found

    def _add(self, parent: int, name: bytes, mode: int) -> int:
        number = max(self.nodes) + 1
        self.nodes[number] = Node(mode)
        self.nodes[parent].names[name.rstrip(b"\0")] = number
        return number

    def _entry(self, number: int) -> bytes:
        return struct.pack("<QQQQII", number, 0, 0, 0, 0, 0) + self._stat(number)

    def _stat(self, number: int) -> bytes:
        node = self.nodes[number]
        size, (seconds, part) = len(node.data), divmod(int(node.changed * 1e9), 10**9)
        times = (seconds,) * 3 + (part,) * 3
        owner = (os.getuid(), os.getgid())
        return struct.pack(
            "<QQQQQQIIIIIIIIII",
            number,
            size,
            (size + 511) // 512,
            *times,
            node.mode,
            1,
            *owner,
            0,
            4096,
            0,
        )


def main(folder: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    if _libc().mount(b"volume", os.fsencode(folder), b"fuse.volume", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    with suppress(KeyboardInterrupt):
        FileSystem().serve(device)


if __name__ == "__main__":
    main(sys.argv[1])
