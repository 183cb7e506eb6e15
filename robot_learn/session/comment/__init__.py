"""Say in a sentence what is wrong with a run: the edit that a model or a person makes of it, previewed and kept."""
