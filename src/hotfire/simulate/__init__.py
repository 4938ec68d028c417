"""Seeded, realistic data with labelled faults: pure generators by stream, and the writer that puts them into files."""
