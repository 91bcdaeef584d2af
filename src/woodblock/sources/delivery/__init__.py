"""Delivery: how a file comes to this machine: over HTTP, by pip, or by the client of the Hugging Face hub."""
