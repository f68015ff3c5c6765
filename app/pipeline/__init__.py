"""The pipeline.config of a run: where it comes from, how settings change it, what is checked before training."""
