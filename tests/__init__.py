"""Tests of the core and of the repository itself; README.md says which test goes where."""
