"""The algorithms: learners, aggregation rules and their equations. Never imports Ray."""
