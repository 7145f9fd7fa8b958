"""From a place to the queue: look, take in what is complete, queue what is to be compared."""
