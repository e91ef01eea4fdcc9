"""The local world: everything Ballast talks to, on this machine, with real HTTP and real chains."""
