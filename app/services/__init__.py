"""The services of a run as processes, and where each stands."""
