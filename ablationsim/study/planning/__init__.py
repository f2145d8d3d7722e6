"""Plans for a patient: where needles go, at which power and for how long; found fast, confirmed by the full model."""
