"""RLlib as a local agent, and the robust target in its learners. Imported only where it is used:
it takes seconds, and no actor of another learner needs it.
"""

import logging
import warnings

with warnings.catch_warnings():  # of Gymnasium, about classes of RLlib's own
    warnings.simplefilter("ignore")
    import ray.rllib  # noqa: F401

for _name in ("ray.rllib", "ray._common.deprecation"):  # that it is the new API stack, and the like
    logging.getLogger(_name).setLevel(logging.ERROR)
