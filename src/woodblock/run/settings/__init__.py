"""The typed settings of params.yaml, one file a topic: every key, its type and its bounds. There are no defaults."""
