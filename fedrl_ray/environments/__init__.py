"""One file, one environment family; the file name is its name in the YAML.

`base`, `scalar`, `tabular` and `mujoco` hold what families share; names without a `Config` are not
families and are not listed.
"""
