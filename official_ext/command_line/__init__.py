"""What every command shares: logs, failing with one line, types of flags."""
