"""Parts of the next-place model: what people do, what one does, and the table that a ranker reads."""
