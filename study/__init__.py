"""How a study runs: data, networks, training, the ledger, and the executors."""
