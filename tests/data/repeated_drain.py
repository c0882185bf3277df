"""Drains a node whose agent stands still, gives up, and asks again with the same request_id.

    repeated_drain.py ENDPOINT DESCRIPTORS

Prints a line for each step and waits for a line before the next.
"""

import sys

from ha_agent import Contract, Failure, Node

REQUEST = {"reason": "trial", "ttl": 600, "request_id": "job-17"}


def main(endpoint, descriptors):
    with Node(endpoint, Contract(descriptors)) as node:
        node.incarnation(within=5)
        print("connected", flush=True)
        input()
        try:
            node.drain(within=2, **REQUEST)
        except Failure as failure:
            print(failure.code, failure.passes, flush=True)
        input()
        for _ in range(3):
            print("drained", drain(node).drain.drained, flush=True)


def drain(node):
    """The disk, too, was asked while the agent stood still, and may have been found too slow: then nothing was changed."""
    try:
        return node.drain(within=20, **REQUEST)
    except Failure as failure:
        if failure.reason != "NOT_KEPT":
            raise
    return node.drain(within=20, **REQUEST)


main(*sys.argv[1:])
