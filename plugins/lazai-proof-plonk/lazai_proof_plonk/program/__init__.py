"""Exact programs as circuits of native mode."""
