"""Preferences: datasets and teachers joined, and rewards learned from what they say."""
