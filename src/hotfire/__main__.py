"""`hotfire` and `python -m hotfire`. It can be stopped before it is loaded: hence so few imports up here."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_YOUNG = 150_000
"""So many objects are made before they are looked through for cycles: modules alone are 100,000, and stay anyway."""


def main() -> NoReturn:
    """Run the command line of this process, and end it."""
    try:
        import gc
        import os
        import signal

        gc.set_threshold(_YOUNG)
        before = signal.signal(signal.SIGINT, lambda *_: _stop())
        from hotfire.cli import main as answer

        signal.signal(signal.SIGINT, before)
        code = answer()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.flush()
        os._exit(code)  # all is closed and flushed: taking the interpreter down takes as long as a small batch
    except KeyboardInterrupt:
        _stop()


def _stop() -> NoReturn:
    """End at once, with the one line, or the one document, that every command ends with. Nothing was begun."""
    import os

    os.write(2, b"Stopped.\n")
    if "--json" in sys.argv:
        os.write(1, b'{"error": "Stopped.", "do": ""}\n')
    os._exit(130)


if __name__ == "__main__":
    main()
