"""Errors, console helpers and JSON values that every package uses.

It imports no other package of fedrl_ray.
"""
