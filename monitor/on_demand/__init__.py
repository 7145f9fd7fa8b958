"""What a person asks for at once: a check of two checkpoints, a calibration of a line."""
