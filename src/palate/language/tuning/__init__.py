"""The language model is taught: one trunk, several ways to let it learn, several heads to learn from."""
