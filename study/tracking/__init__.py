"""MLflow shows what the ledger has; it never decides anything."""
