"""A run's files as they are kept in an object store or a folder."""
