"""Models the project brings up itself: the digits classifier and the MiniLM sentence encoder."""
