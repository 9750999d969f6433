"""One architecture a file. Imports torch and the standard library, nothing else."""
