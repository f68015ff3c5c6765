"""The policy of the training loop, in plain Python: what happens between steps, not in them."""
