"""What is not known of a prediction: screening, sensitivity indices, spread, and the repeatability of devices."""
