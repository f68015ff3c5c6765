"""TF1's pipeline.config and run settings, brought to TF2."""
