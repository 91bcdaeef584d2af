"""Tables of texts, conversations and articles as folders of Parquet parts; counts of what each step did to them."""
