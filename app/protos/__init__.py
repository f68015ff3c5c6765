"""pipeline.config and label maps as the OD API's messages, without TensorFlow."""
