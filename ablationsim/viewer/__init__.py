"""A finished run as a page in the browser of this computer: planes, space, and temperatures against time."""
