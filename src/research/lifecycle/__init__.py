"""Where customers stand: stages, cohorts, indicators, personas (20_lifecycle)."""
