"""`latentwatch bench scrape`: how long the exporter takes with many lines."""
