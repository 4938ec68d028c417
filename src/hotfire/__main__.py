"""`hotfire` and `python -m hotfire`. It can be stopped before it is loaded: hence so few imports up here."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    try:
        import signal

        before = signal.signal(signal.SIGINT, lambda *_: _stop())
        from hotfire.cli import main as answer

        signal.signal(signal.SIGINT, before)
        code = answer()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: what remains is the interpreter's own
    except KeyboardInterrupt:
        _stop()
    return code


def _stop() -> NoReturn:
    """End at once, with the one line, or the one document, that every command ends with. Nothing was begun."""
    import os

    os.write(2, b"Stopped.\n")
    if "--json" in sys.argv:
        os.write(1, b'{"error": "Stopped.", "do": ""}\n')
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
