"""Features of customers at a snapshot, made of point-in-time data only."""
