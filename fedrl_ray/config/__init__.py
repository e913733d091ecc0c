"""The experiment file: its schema, how it is read and validated, and the plug-ins that it names."""
