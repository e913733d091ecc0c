"""The recommendation of a report: the rule that makes it (`rule`) and its sentences (`words`)."""
