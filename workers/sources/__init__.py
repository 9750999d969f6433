"""What somebody wants to import, read without trusting it and without loading a model."""
