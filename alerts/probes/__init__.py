"""Probe suites: what they ask, how answers are scored, and suites of one's own."""
