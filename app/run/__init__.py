"""The run directory: its names, files, locks, heartbeats and records of evaluations."""
