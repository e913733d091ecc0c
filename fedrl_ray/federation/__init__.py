"""The driver: rounds, participation, recovery from failures and metrics of a round."""
