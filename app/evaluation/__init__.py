"""Evaluation beside training: which checkpoint is next, what is recorded, which one is best."""
