"""python -m workers.training.<name> --recipe <recipe>: from a recipe to a folder with a checkpoint and its figures."""
