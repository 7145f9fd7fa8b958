"""Runs diffs: claims, the process that compares, the stages, and what is kept of them."""
