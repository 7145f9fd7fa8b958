"""`latentwatch bench steer`: many edits at once, beside one after the other."""
