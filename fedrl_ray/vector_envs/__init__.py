"""What families of environments share: their parameters, N environments in lock-step, test grids.

`user` takes in environments that are not ours.
"""
