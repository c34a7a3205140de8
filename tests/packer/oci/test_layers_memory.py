"""Memory stays flat: names are kept, no content, whatever the size of the image."""

import json
import subprocess
import sys
from pathlib import Path

FILES = 50_000
PROGRAM = f"""
import json
from contextlib import contextmanager
from pathlib import Path

from smolpack.oci.layers import LayersSource
from stacks import file, tar

HEADER = len(tar([file("x")])) - 1024
FILE = file("usr/lib/package-0000/module-00.js", "content").info()


class Stream:
    # {FILES} small files and one of 5 GiB, made as they are read.
    def __init__(self):
        self.parts = self.all()

    def all(self):
        for number in range({FILES // 100}):
            block = []
            for file_number in range(100):
                FILE.name = f"usr/lib/package-{{number:04}}/module-{{file_number:02}}.js"
                block.append(FILE.tobuf() + b"content".ljust(512, b"0"))
            yield b"".join(block)
        huge = file("huge").info()
        huge.size = 5 << 30
        yield huge.tobuf()
        for _ in range(5 << 10):
            yield bytes(1 << 20)
        yield bytes(1024)

    def read(self, size):
        return next(self.parts, b"")


class Layer:
    name, diff_id, size = "layer 1 of 1", "sha256:0", 0

    @contextmanager
    def open(self, advance):
        yield Stream()


class Sink:
    size = 0

    def write(self, data):
        self.size += len(data)


def resident():
    # Not getrusage(): that begins with what the parent had when it forked.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


before, sink = resident(), Sink()
LayersSource([Layer()]).write(sink, lambda size: None)
print(json.dumps([before, resident(), sink.size]))
"""


def test_memory_holds_names_only() -> None:
    paths = [str(Path(__file__).parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {paths!r}\n{PROGRAM}"],
        check=True,
        capture_output=True,
    )
    before, after, streamed = json.loads(done.stdout)
    assert streamed > 5 << 30
    # With buffers of a few MiB that do not grow.
    assert after - before < FILES * 300 + (16 << 20)
    assert after < 200 << 20
