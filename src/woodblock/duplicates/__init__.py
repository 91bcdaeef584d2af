"""Documents beside each other: exact copies, near-duplicates, paragraphs and conversations that come again."""
