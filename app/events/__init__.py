"""TensorBoard's event files: read, counted, compacted to a budget. Knows no TensorFlow."""
