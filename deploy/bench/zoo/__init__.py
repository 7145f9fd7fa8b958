"""`latentwatch bench zoo`: planted regressions to be caught, benign updates to be passed."""
