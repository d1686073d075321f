"""Every message between two processes as a type. Standard library only: both ends import it."""
