"""Named runs: functions that return a configuration."""
