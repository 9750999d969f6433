"""One model trained by many processes: copies (dp), stages (pp) and experts (ep) on a mesh of devices."""
