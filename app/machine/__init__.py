"""The machine or image that detbox runs on: GPUs, memory, the OD API's build."""
