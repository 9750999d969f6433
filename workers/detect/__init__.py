"""Detectors of anomalies in series of readings: fitted by jobs, asked by pipelines. numpy, and onnxruntime for V4."""
