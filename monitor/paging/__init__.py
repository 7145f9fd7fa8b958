"""From a finished diff to a reviewer and back: alerts, their messages, and the answers."""
