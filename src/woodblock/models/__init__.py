"""The model: a decoder in PyTorch, its kernels for a CPU, and the Hugging Face folder that it is saved as."""
