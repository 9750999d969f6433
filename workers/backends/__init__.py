"""What runs a model on a device. Knows nothing of requests, tenants or text."""
