"""Adapters that turn an environment of the user into a vector environment."""
