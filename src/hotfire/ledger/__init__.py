"""The conservation ledger: `balance` proves that no row was lost (G1), `digest` that a replay is the same run (G3)."""
