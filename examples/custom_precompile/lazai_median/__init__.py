"""An example of a precompile: the median of 256-bit integers."""
