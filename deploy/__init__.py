"""What is deployed, and what shows the product: manifests, the demo, the benchmarks."""
