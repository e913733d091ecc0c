"""`fedrl-ray chaos`: inject faults into real runs on a throw-away cluster on this machine.

`campaign` runs one case per fault and failure policy. A `Case` is a run of the command line with
one fault in its middle. `faults/` has one file per fault. `local_cluster` starts and kills nodes.
"""
