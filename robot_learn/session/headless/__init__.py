"""Sessions that programs use through a headless browser: to measure them, to play a person, to take their pictures."""
