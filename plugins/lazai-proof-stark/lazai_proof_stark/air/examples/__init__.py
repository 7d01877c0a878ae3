"""Computations to learn from: each gives its description and a table that fulfils it."""
