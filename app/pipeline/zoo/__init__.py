"""The TF2 Detection Model Zoo: its table of models, and their archives on this machine."""
