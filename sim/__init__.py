"""robosuite tasks behind the contract's names and units; scripted operators; rollouts."""
