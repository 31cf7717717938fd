"""Engines: what runs a trial."""

from ablate.misfits import hide_misfits

hide_misfits()
