"""The live page of runs and sweeps: the sections of `fedrl-ray report`, updated during a run.

Data flow: stamps -> live (one reader thread for all browsers) -> parts -> app -> command. Nothing
here writes. Only text files are read: no pickle, and nothing in a sweep's `tune/`.
"""
