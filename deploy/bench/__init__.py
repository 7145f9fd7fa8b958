"""The benchmarks, `latentwatch bench ...`: each prints JSON lines and keeps its result."""
