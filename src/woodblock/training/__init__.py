"""Training: one loop for every stage that trains, its optimizers, checkpoints, devices, and what it trains on."""
