"""`fedrl-ray chaos`: faults, injected into real runs on a throw-away cluster on this machine.

`command` runs a case for every fault and policy; a `Case` is one run of the command line with one
fault in its middle; `faults/` has a file per fault; `local_cluster` starts and kills nodes.
"""
