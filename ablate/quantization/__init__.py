"""What weight-quantizing plugins share: calibration text, quantized layers, packed checkpoints.

Nothing here imports torch before a trial opens: ``calibration`` is light, the rest is not.
"""
