"""The toy with ground truth: two models whose concepts are known, and crosscoders between them."""
