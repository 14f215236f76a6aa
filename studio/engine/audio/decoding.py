"""The decoder's process: reads audio files for `decoder` under limits of its own, so that a bad file ends it alone.

A request is a line of JSON with path and name. The answer is a head, then one block each time the other side asks, then
the end; every message is a letter, four bytes of length and that many bytes.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from studio.engine.audio.stream import BLOCK_SAMPLES, Block, open_stream
from studio.errors import AudioError

HEAD, BLOCK, END, FAULT = b"H", b"B", b"E", b"F"
FRAME = struct.Struct("<cI")
MORE, ENOUGH = b"+\n", b"-\n"
MEMORY = 1 << 30  # bytes of address space, libraries with it; a file takes some MB
CPU_SECONDS = 60  # a file


def main() -> None:
    """Answer requests until nobody is there to ask."""
    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (most, most))
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(used) + CPU_SECONDS + 1, resource.RLIM_INFINITY))
        _answer(Path(request["path"]), request["name"])


def _answer(path: Path, name: str) -> None:
    """Send a file; what goes wrong is told when the other side asks for more, or at once where nothing was sent."""
    asked = True
    try:
        with open_stream(path, name) as stream:
            facts = {"rate": stream.rate, "channels": stream.channels, "seconds": stream.seconds}
            _send(HEAD, json.dumps({**facts, "notes": stream.notes}).encode())
            asked = False
            for block in _gathered(stream.blocks):
                if not (asked := _wanted()):
                    return
                _send(BLOCK, block.tobytes())
                asked = False
            kind, last = END, json.dumps(stream.notes)
    except AudioError as error:
        kind, last = FAULT, str(error)
    except MemoryError:
        words = AudioError(f"{name} can't be read as audio: it needs more than {MEMORY >> 20} MiB of memory")
        kind, last = FAULT, str(words)
    if asked or _wanted():
        _send(kind, last.encode())


def _gathered(blocks: Iterator[Block]) -> Iterator[Block]:
    """Join small blocks, as FFmpeg gives them: each one costs a question. What comes before damage is given first."""
    kept: list[Block] = []
    try:
        for block in blocks:
            kept.append(block)
            if sum(part.size for part in kept) >= BLOCK_SAMPLES:
                yield np.concatenate(kept)
                kept.clear()
    except AudioError:
        if kept:
            yield np.concatenate(kept)
        raise
    if kept:
        yield np.concatenate(kept)


def _wanted() -> bool:
    return sys.stdin.buffer.readline() == MORE


def _send(kind: bytes, content: bytes) -> None:
    sys.stdout.buffer.write(FRAME.pack(kind, len(content)))
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
