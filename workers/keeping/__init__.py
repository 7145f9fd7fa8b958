"""What is kept: results of stages by all that they depend on, here and where hosts share them."""
