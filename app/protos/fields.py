"""Every field of a message with its path, as errors name it: `train_config.data_augmentation_options[2]`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


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


def find_named(message: Any, text: str) -> str:
    """The path of the field that an error's `text` speaks of, by its value or else by its name; empty without one."""
    words = set(re.findall(r"[^\s'\"`,;()\[\]{}]+", text)) | set(re.findall(r"\w+", text))
    fields = list(walk(message))
    by_value = [field for field in fields if field.is_set and isinstance(field.value, str) and field.value in words]
    by_name = [field for field in fields if "_" in field.name and field.name in words]
    return next((field.path for field in [*by_value, *by_name]), "")


def is_map(descriptor: Any) -> bool:
    """Whether a field is a map, such as `keypoint_label_to_std`."""
    return descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry
