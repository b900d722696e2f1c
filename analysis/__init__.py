"""What the results say. Runs without torch and without ray."""
