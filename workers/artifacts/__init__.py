"""Artifacts where they are kept: folders, or a bucket with a cache on this machine's disk."""
