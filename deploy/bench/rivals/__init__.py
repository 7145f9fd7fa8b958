"""`latentwatch bench compare`: what one would do instead, on the versions of the zoo."""
