"""The pipeline.config of a run: its origin, its editing by settings, its checks before training."""
