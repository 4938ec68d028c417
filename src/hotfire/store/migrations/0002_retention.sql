-- What retention took out of the store, and only the lake still holds: rows of each batch, and of each shard as a whole.
ALTER TABLE hf_ledger ADD COLUMN cleared INTEGER NOT NULL DEFAULT 0 CHECK (cleared >= 0 AND cleared <= stored);
CREATE TABLE hf_cleared (
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    cleared INTEGER NOT NULL CHECK (cleared > 0),
    last_seq INTEGER NOT NULL CHECK (last_seq >= 1),
    before_ns INTEGER NOT NULL,
    PRIMARY KEY (stream, shard)
) STRICT;
