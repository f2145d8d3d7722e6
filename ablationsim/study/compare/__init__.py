"""Device comparison: devices by powers by times by tissues, each run once, and what tells them apart."""
