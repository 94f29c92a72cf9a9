"""From raw files to contract tables whose checks have passed."""
