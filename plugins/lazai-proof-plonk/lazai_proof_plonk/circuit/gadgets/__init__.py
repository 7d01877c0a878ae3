"""Gadgets: small circuits with one value for each input, so that no second witness passes."""
