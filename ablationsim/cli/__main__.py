"""``python -m ablationsim.cli``"""

from ablationsim.cli import main

main()
