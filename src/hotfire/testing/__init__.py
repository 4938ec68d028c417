"""Real parts for tests, and the suites that every implementation of a protocol must pass."""
