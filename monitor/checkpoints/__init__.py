"""Checkpoints as untrusted files: whether one may be loaded, and which one it is."""
