"""A small made-up school, and the demonstration that runs on it."""
