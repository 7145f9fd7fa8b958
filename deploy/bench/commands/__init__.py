"""The commands of `latentwatch bench`: arguments in, one function called."""
