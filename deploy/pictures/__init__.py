"""The pictures of the docs, taken from the fake Slack in a browser."""
