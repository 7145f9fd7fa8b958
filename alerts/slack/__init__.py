"""Slack: the messages, the dialogs, and both ways in which answers come back."""
