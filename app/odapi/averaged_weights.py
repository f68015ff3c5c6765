"""The moving averages of weights that an optimizer with `use_moving_average` keeps in a checkpoint."""

from pathlib import Path
from typing import Any

from app.odapi.checkpoint_files import match_variables, read_object_graph

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
AVERAGE = f"/.OPTIMIZER_SLOT/optimizer/average{VALUE}"
"""How the key of a variable's average ends, where that of its value ends in `VALUE`."""


def load_averages(model: Any, prefix: Path | str) -> int:
    """Gives the variables of a model that has been built their averages in the checkpoint. Returns how many have one.

    An exported checkpoint has none: its weights are the averages.
    """
    import tensorflow as tf

    reader, saved = read_object_graph(prefix)
    shapes = reader.get_variable_to_shape_map()
    loaded = 0
    for variable, key, _ in match_variables(tf.train.Checkpoint(model=model), saved):
        average = key.removesuffix(VALUE) + AVERAGE
        if key and average in shapes:
            variable.assign(reader.get_tensor(average))
            loaded += 1
    return loaded
