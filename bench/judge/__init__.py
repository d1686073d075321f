"""Pure functions from what was measured to what may be said about it. No network, no processes, no files."""
