"""The precompiles in the box: AI calls and proof checks."""
