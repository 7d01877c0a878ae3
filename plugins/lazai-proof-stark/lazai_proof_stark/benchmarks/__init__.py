"""Models of the benchmark, this machine's speed, and peers."""
