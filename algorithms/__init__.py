"""What is learnt. Imports torch and numpy, never Ray."""
