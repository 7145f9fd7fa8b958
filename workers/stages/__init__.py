"""The stages of a diff, one per module; `workers.diff` runs them in order."""
