"""The Dedicated Feature Crosscoder: its form, its losses and its training."""
