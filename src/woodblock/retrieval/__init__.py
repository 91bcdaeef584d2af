"""Finding the article that answers a question, and answering with it."""
