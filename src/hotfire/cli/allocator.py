"""How a process that goes on for days gives back what it no longer needs."""

from __future__ import annotations

_MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of glibc's malloc.h."""
_BYTES = 1 << 17


def give_back() -> None:
    """Have memory given back, as a command that ends soon need not: large blocks, and objects in cycles."""
    import gc

    gc.freeze()
    gc.set_threshold(700)
    give_back_large_blocks()


def give_back_large_blocks() -> bool:
    """Have every block of 128 KiB and more returned to the system once it is freed; False where that cannot be said.

    glibc begins so, but raises the bound to the size of whatever is freed, up to 32 MiB. From then on arrays that live for
    minutes lie among those of a moment, and the holes between them are kept: a third more memory within the hour.
    """
    import ctypes
    import sys

    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, _BYTES))
