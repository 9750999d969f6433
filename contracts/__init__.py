"""What the Django side and the worker side say to each other. Imports nothing of either."""
