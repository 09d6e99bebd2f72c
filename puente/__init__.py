"""Puente: a school's messages reach families, and theirs reach the school, each in their own language."""
