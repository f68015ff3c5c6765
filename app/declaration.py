"""What a setting is made of: its type, its one line of documentation, the group that it is listed under."""

import dataclasses
from functools import partial
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt, Predicate

from app.humanize import is_size

Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]
Fraction = Annotated[float, Gt(0), Lt(1)]
Port = Annotated[int, Ge(0), Le(65535)]
Size = Annotated[str, Predicate(is_size)]
"""Bytes as `humanize.parse_bytes` reads them."""


def setting(default: Any, doc: str, *, group: str, is_secret: bool = False) -> Any:
    """A field with its one line of documentation and the group that it is listed under.

    The value of one that is secret belongs in no file, log or message.
    """
    metadata = {"doc": doc, "group": group, "is_secret": is_secret}
    return dataclasses.field(default=default, repr=not is_secret, metadata=metadata)


places = partial(setting, group="places")
data = partial(setting, group="data")
model = partial(setting, group="model")
training = partial(setting, group="training")
cluster = partial(setting, group="cluster")
evaluation = partial(setting, group="evaluation")
export = partial(setting, group="export")
detection = partial(setting, group="detection")
zoo = partial(setting, group="zoo")
services = partial(setting, group="services")
secret = partial(setting, group="services", is_secret=True)
events = partial(setting, group="events")
