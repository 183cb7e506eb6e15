"""What a reward program may cost. Every limit is checked before the work that it bounds is done."""

from __future__ import annotations

MAX_TEXT = 20_000  # characters
MAX_TOKENS = 6_000
MAX_STATEMENT_TOKENS = 1_200  # in one logical line
MAX_BRACKETS = 20  # brackets inside each other
MAX_INDENT = 10  # blocks inside each other
MAX_NESTING = 60  # levels of the syntax tree, and of the inlined program
MAX_LITERAL_DIGITS = 20  # characters of one number
MAX_LITERAL = 1e9  # magnitude of one number
MAX_CALLS = 10  # helpers inside each other
MAX_TERMS = 32
MAX_NAME = 60  # characters of one name
MAX_ITERATIONS = 256  # of one loop or comprehension
MAX_STEPS = 20_000  # expressions and statements visited, loops and helpers written out
MAX_INSTRUCTIONS = 4_000
MAX_ELEMENTS = 256  # numbers in one array of one world
MAX_ERRORS = 10  # reported at once
