"""The model: a decoder in PyTorch, its kernels for CPUs, and the Hugging Face folder that it is saved in."""
