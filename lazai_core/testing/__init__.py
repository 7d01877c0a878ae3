"""The kit for plugin authors: conformance suites, sample programs, a simulated clock and network, golden files.

It is used from tests and needs pytest. WRITING_PLUGINS.md shows how; the suites are in
`lazai_core.testing.conformance`, one class for each kind of entry.
"""
