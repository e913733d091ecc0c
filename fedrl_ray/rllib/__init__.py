"""RLlib algorithms as local agents, and the robust target in RLlib's learners.

Importing RLlib takes seconds, so only code that runs `learner: {name: rllib}` imports this package.
"""

import logging
import warnings

with warnings.catch_warnings():  # Gymnasium warns about RLlib's own classes
    warnings.simplefilter("ignore")
    import ray.rllib  # noqa: F401

for _name in ("ray.rllib", "ray._common.deprecation"):  # notes about the new API stack
    logging.getLogger(_name).setLevel(logging.ERROR)
