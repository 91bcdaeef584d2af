"""Training: one loop for every stage that trains, its optimizers, checkpoints and devices, and the data for it."""
