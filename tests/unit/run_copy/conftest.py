"""Places to copy a run to."""

from object_stores import bucket, credentials, object_store, place, stub

__all__ = ["bucket", "credentials", "object_store", "place", "stub"]
