"""The parts of a verdict: what was measured of behaviours and of features."""
