"""Records of a web API: what it answers is kept first, and then read like any file."""
