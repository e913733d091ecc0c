"""A driver with a directory and a schedule: logs, events, TensorBoard and Prometheus."""
