"""Graders that domains share: each reads an answer out of a text and says whether it is right."""
