"""N environments in lock-step, their physical parameters, and test grids over them.

The package `user` adapts environments that users bring.
"""
