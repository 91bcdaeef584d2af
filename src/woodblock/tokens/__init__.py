"""From text to token ids: the tokenizer, and packed shards of token ids."""
