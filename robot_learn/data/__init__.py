"""Datasets of episodes: in memory, on disk, graded, and measured."""
