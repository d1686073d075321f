"""What licences installed packages have, by what they say of themselves; nothing is guessed."""
