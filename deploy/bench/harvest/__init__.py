"""`latentwatch bench harvest`: how fast states are read, beside plain forward passes."""
