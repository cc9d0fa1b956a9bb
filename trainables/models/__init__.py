"""Pretrained encoders: read once by the driver, built in every trial; the bundled mini model."""
