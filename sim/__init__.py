"""robosuite tasks behind the contract's names and units; scripted operators; rollouts."""

import logging

# robosuite warns at import about parts we do not use and prints a line at every reset.
logging.getLogger("robosuite_logs").addFilter(lambda record: record.levelno >= logging.ERROR)
