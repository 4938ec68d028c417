"""Notifiers: how people are told of alarms, one file each, and the sender that empties the outbox."""
