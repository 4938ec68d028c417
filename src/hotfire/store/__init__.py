"""The operational store: one wide table a stream, and hotfire's own `hf_` tables, in one database."""
