"""Where two models part: at which depth, and in which directions. Before any training."""
