"""From an address to rows of a table: fetching, archives, records, and the readers of statutes."""
