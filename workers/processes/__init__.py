"""Processes that compare: isolated, watched by their parent, and ended when they must be."""
