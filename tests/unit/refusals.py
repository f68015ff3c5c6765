"""What a test says of an error: its class, where it is, the flag that its remedy names; not its sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.errors import DetboxError


@contextmanager
def refused(
    error: type[DetboxError], *, where: str = "", flag: str = "", about: str = ""
) -> Iterator[pytest.ExceptionInfo[DetboxError]]:
    """Expects `error`: at a place that ends in `where`, with `flag` in its remedy, `about` this name or figure."""
    with pytest.raises(error) as caught:
        yield caught
    assert caught.value.where.endswith(where)
    assert flag in caught.value.remedy
    assert about in caught.value.what
