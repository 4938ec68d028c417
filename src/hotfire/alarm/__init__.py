"""Alarms: what becomes of findings, and what people do about it. Pure."""
