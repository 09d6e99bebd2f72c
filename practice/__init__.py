"""How the practice pack is made: a small English-Spanish model of our own, for the demonstration, the tests and training staff.

pairs → train → export → two packs in Argos's format
"""
