"""A workspace: a folder with settings, contracts and data, and how the parts are chosen from it."""
