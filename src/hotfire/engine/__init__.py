"""The deterministic engine: one loop for live, replay and backfill. Reading order: loop, dedupe, recover."""
