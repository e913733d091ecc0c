"""RLlib as a local agent, and the robust target in its learners. Imported only where it is used."""
