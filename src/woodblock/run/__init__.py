"""How a stage is run: the graph, the params, the stage contract, lineage, and work in several processes."""
