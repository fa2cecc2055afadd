"""What a model can do, in numbers and on sheets: likelihood, rightness, speed, tables."""
