"""Bank statements: what they say, line by line, and which payment each line is for."""
