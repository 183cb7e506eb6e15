"""A robot learns from what people can give: a sentence, a video, a preference, a push in the right direction."""

__version__ = "0.1.0"
