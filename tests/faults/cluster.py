"""``python -m tests.faults.cluster``: a Ray cluster on this machine for as long as its standard input is open.

The head has one CPU; with ``--two`` there is a second node with one, whose trials find ``FAULTS_NODE=second``. It
prints the address, then the id of each node, and takes the second node away, ungracefully, at a line of input.
"""

from __future__ import annotations

import sys

from tests.faults.driver import be_patient


def main() -> None:
    """Start the nodes and wait for input."""
    from ray.cluster_utils import Cluster  # here, since pytest imports this module while it looks for tests

    be_patient()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.head_node]
    if "--two" in sys.argv:
        nodes.append(cluster.add_node(num_cpus=1, env_vars={"FAULTS_NODE": "second"}))
    print(cluster.address, *(node.node_id for node in nodes), flush=True)
    for _ in sys.stdin:
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        print("removed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
