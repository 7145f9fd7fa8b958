"""Where two models part: after which layer, and at which positions. Before any training."""
