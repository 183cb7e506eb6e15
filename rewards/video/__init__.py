"""Rewards from videos: a clip is read and measured, a model compares it with what the robot does, and terms change."""
