"""The durable queue, the worker that owns the model, and what it does for each kind of job."""
