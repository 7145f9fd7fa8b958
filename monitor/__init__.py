"""Finds and identifies versions, and keeps the record: sources, trust, database, settings."""
