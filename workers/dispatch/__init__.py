"""From a queued diff to the process that compares it, and back: the broker, claims, workers."""
