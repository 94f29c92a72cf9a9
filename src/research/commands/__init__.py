"""Commands that load the libraries of tables and models: check and snapshot."""
