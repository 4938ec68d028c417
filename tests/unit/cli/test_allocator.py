"""What a process that goes on for days does with memory that it has used for a moment."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

PROCESS = """
import ctypes, sys
from hotfire.cli.allocator import give_back_large_blocks

class Mallinfo(ctypes.Structure):
    _fields_ = [(f"field{number}", ctypes.c_size_t) for number in range(10)]

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.mallinfo2.restype = Mallinfo
if sys.argv[1] == "told":
    assert give_back_large_blocks()
libc.free(libc.malloc(24 << 20))
before = libc.mallinfo2().field4
libc.malloc(8 << 20)
print(libc.mallinfo2().field4 - before)
"""


def mapped(told: str) -> int:
    """Of a block of 8 MiB, the bytes that are the system's own, in a process that has freed a larger one before."""
    done = subprocess.run([sys.executable, "-c", PROCESS, told], capture_output=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="the C library is not glibc 2.33 or newer")
def test_large_blocks_go_back_to_the_system() -> None:
    """Told so, a large block is mapped by itself; left alone, one that was freed has taught the library to keep them."""
    assert mapped("told") >= 8 << 20
    assert mapped("left") == 0
