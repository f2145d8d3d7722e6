"""How sure a margin is: its spread by what is not known of the tissue, the device and the place of the needle."""
