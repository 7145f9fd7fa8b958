"""What features have to do with a shift, by experiments, and what they are about."""
