"""tail, read, write, remove."""

from __future__ import annotations

import base64
import os
import zlib

from bench.wire.guard import Done, FilePiece, FileTail, ReadFile, RemovePath, TailFile, WriteFile
from remote.onhost.guard.guard import Guard
from remote.onhost.guard.refused import Refused
from remote.onhost.guard.reply import Reply

# Samples are text that repeats itself: the quickest level takes most of what can be had.
COMPRESSION_LEVEL = 1


def tail(guard: Guard, request: TailFile, reply: Reply) -> None:
    with guard.inside(request.path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - request.size_bytes))
        reply(FileTail(file.read().decode(errors="replace"), size))


def read(guard: Guard, request: ReadFile, reply: Reply) -> None:
    with guard.inside(request.path).open("rb") as file:
        file.seek(request.offset)
        data = file.read(request.size_bytes)
        more = bool(file.read(1))
    reply(FilePiece(base64.b64encode(zlib.compress(data, COMPRESSION_LEVEL)).decode(), more))


def write(guard: Guard, request: WriteFile, reply: Reply) -> None:
    path = guard.inside(request.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, request.mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64decode(request.data))
    reply(Done())


def remove(guard: Guard, request: RemovePath, reply: Reply) -> None:
    path = guard.inside(request.path)
    if path == guard.workdir.resolve():
        raise Refused("outside", "the work folder itself is not removed here")
    if path.is_dir() and not path.is_symlink():
        import shutil  # loads more than all verbs together

        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    reply(Done())
