"""What survives a restart: the SQL database (users, batches, takes, jobs, workers) and the audio files beside it."""
