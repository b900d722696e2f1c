"""What a study will train, what it will cost, what it could find, and how far it is."""
