"""`latentwatch bench alerts`: from a verdict to its message in Slack, under faults."""
