"""Any detector as one function: loading, batching, results."""
