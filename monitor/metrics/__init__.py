"""What Prometheus reads, made of the database and Redis at every scrape."""
