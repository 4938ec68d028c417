"""Read-only SQL over the operational store, the lake and the marts."""
