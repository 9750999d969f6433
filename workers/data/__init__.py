"""One data set a file: where it comes from, under which licence, and how it is read."""
