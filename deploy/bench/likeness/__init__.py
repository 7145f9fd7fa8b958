"""Whether a feature is known when it comes again, and no other is taken for it."""
