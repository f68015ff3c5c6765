"""Data sets: reading, checking, splitting, writing records. Knows neither TensorFlow nor the OD API."""
