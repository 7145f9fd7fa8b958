"""Places where versions are published, and the way from there to files on this machine."""
