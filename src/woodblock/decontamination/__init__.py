"""Which training text shares a long run of characters with a benchmark or with held-out text, exactly."""
