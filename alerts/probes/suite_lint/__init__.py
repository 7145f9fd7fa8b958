"""What is wrong with a probe suite, or may make its figures mislead."""
