"""What weight-quantizing plugins share: calibration text, quantized layers, packed checkpoints.

Nothing here imports torch before a trial opens: ``calibration`` is light, the rest is not.
"""

from ablate.misfits import hide_misfits

hide_misfits()
