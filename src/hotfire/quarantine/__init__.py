"""Rejected rows, whole: listed, explained, replayed through the engine after a contract change, or discarded."""
