"""The live page of runs and sweeps: what `fedrl-ray report` shows, while it comes about.

stamps -> live (one reader, whoever looks) -> parts -> app -> command. Nothing here writes, and
nothing but text files is read: no pickle, nothing of a sweep's `tune/`.
"""
