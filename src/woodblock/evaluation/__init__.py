"""How good a model is: likelihood, n-gram baselines, and questions under lm-eval."""
