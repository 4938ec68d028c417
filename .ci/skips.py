"""Fails where a test was skipped although this machine has, or `.ci/run` should have provided, what it needs."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

# Words of a skip's reason -> what must be absent for the skip to be fine.
ALLOWED = {"shared/data": Path("../shared/data")}


def wrong(reason: str) -> bool:
    """Whether a skip with this reason hides a suite that should have run."""
    return not any(words in reason and not part.exists() for words, part in ALLOWED.items())


def main(report: str) -> int:
    """Print every skip of a JUnit report that is not allowed; 1 where there is one."""
    cases = ET.parse(report).iter("testcase")  # noqa: S314 - written by our own pytest a moment ago
    skipped = [(case, skip) for case in cases for skip in case.iter("skipped")]
    bad = [
        f"{case.get('classname')}::{case.get('name')}: {skip.get('message')}"
        for case, skip in skipped
        if wrong(skip.get("message") or "")
    ]
    sys.stdout.writelines(f"skipped, but should have run: {line}\n" for line in bad)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
