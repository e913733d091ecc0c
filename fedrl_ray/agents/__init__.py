"""The code inside a worker: local agents, evaluation and the messages to the driver."""
