"""Pushed rows on disk: checksummed segments, filled with one fsync for many requests, read as a source."""
