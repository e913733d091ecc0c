"""Name of the logger that a program can add handlers to."""

LOGGER = "fedrl_ray"
