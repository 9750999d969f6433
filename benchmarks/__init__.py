"""Measurements against peers. Results are JSON files under results/."""
