"""OpenAI-compatible service and the Open Inference Protocol, in front of a node."""
