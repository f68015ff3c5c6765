"""The services of a run as processes, and their state."""
