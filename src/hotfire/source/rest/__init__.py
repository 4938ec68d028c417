"""Records of a web API: what it answers is kept first, and then read like any file."""

KEY = "rest:"
"""The keys of a web API's places begin like this, and no others'."""
