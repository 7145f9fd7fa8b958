"""`make demo`: a line of three pushes of a real model, watched until the alert."""
