"""Tables of texts, conversations and articles: folders of Parquet parts, and the counts of what steps did to them."""
