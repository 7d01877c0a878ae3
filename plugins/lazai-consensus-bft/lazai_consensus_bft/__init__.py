"""Byzantine fault tolerant consensus for LazAI: Tendermint rules over a quorum predicate."""
