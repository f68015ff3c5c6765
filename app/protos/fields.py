"""Every field of a message with its path, as errors name it: `train_config.data_augmentation_options[2]`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MESSAGE = "message"


@dataclass(frozen=True)
class Field:
    """A scalar field that is set, or that has its default in a message that is set.

    `path`: from the root, with [n] for items of a list and [key] for those of a map.
    """

    path: str
    name: str
    value: Any
    is_set: bool


def walk(message: Any, path: str = "") -> Iterator[Field]:
    """The scalar fields of `message` and of all messages that are set in it, at any depth."""
    present = {descriptor.name for descriptor, _ in message.ListFields()}
    for descriptor in message.DESCRIPTOR.fields:
        value, name = getattr(message, descriptor.name), descriptor.name
        place = f"{path}.{name}" if path else name
        is_set = name in present
        if is_map(descriptor):
            of_messages = descriptor.message_type.fields_by_name["value"].message_type is not None
            items = [(f"{place}[{key}]", value[key]) for key in value]
        elif descriptor.is_repeated:
            of_messages = descriptor.message_type is not None
            items = [(f"{place}[{index}]", item) for index, item in enumerate(value)]
        elif descriptor.message_type is not None:
            of_messages, items = True, [(place, value)] if is_set else []
        else:
            of_messages, items = False, [(place, value)]
        for where, item in items:
            if of_messages:
                yield from walk(item, where)
            else:
                yield Field(where, name, item, is_set)


def is_map(descriptor: Any) -> bool:
    """Whether a field is a map, such as `keypoint_label_to_std`."""
    return descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry
