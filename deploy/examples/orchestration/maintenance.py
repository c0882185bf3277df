#!/usr/bin/env python3
"""Takes a node out of the cluster for a reboot without losing a packet, and puts it back.

    maintenance.py --endpoint https://node-a:7443 --cacert ca.crt --cert robot.crt --key robot.key \\
        reboot --reason "new kernel" -- ssh node-a systemctl reboot

`drain` and `undrain` are the two halves, for orchestration systems that reboot in a step of their own. The exit code is
hactl's: 0 done, 2 usage, 5 nobody answered, 6 not allowed, 7 refused by the node (NO_SUCCESSOR), 8 too late.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from ha_agent import Contract, Failure, Node, new_request_id

EXIT = {
    "INVALID_ARGUMENT": 2,
    "NOT_FOUND": 2,
    "UNAVAILABLE": 5,
    "UNAUTHENTICATED": 6,
    "PERMISSION_DENIED": 6,
    "FAILED_PRECONDITION": 7,
    "ABORTED": 7,
    "DEADLINE_EXCEEDED": 8,
}


def say(text):
    print(text, flush=True)


def drain(node, wish):
    """Drains the node and waits until nothing is left on it."""
    end = time.monotonic() + wish.within
    answer = node.drain(wish.reason, wish.ttl, wish.within, wish.allow_no_successor, wish.request_id)
    for move in answer.moves:
        names = ", ".join(name.rpartition("/")[2] for name in move.instances)
        say(f"{names}: {move.successor or move.successor_address or 'kept'} {move.detail}".rstrip())
    if wish.allow_no_successor:
        say("drained; what nobody takes over stays")
        return
    node.wait_until_drained(max(end - time.monotonic(), 1))
    say(f"drained for {wish.ttl} s: nothing is Active here, and the kernel has no virtual address")


def undrain(node, wish, after=None):
    """Waits until the node takes part again, and lets it take over."""
    end = time.monotonic() + wish.within
    node.wait_until_ready(wish.within, after)
    node.undrain(max(end - time.monotonic(), 1))
    say("undrained")


def reboot(node, wish):
    """Drains the node, runs the command, waits for the agent that starts after it, and undrains."""
    before = node.incarnation(wish.within)
    drain(node, wish)
    status = subprocess.run(wish.command, check=False).returncode
    # ssh ends with 255 when the machine that it reboots goes down under it.
    if status not in (0, 255):
        say(f"{wish.command[0]} ended with {status}: the node stays drained, at most {wish.ttl} s; undrain ends that")
        return 1
    undrain(node, wish, after=before)
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", default="unix:/run/ha-agent/api.sock", help="unix:PATH or https://HOST:PORT")
    beside = Path(__file__).with_name("ha-agent.binpb")
    parser.add_argument("--descriptors", default=beside, help="what `hactl descriptors --file` wrote")
    parser.add_argument("--cacert", help="the cluster's authority")
    parser.add_argument("--cert", help="this client's certificate, with the role operator")
    parser.add_argument("--key", help="and its key")
    parser.add_argument("--within", type=float, default=120, help="seconds for each step (default 120)")
    commands = parser.add_subparsers(dest="command_name", required=True)
    for name in ("drain", "reboot"):
        command = commands.add_parser(name)
        command.add_argument("--reason", default="maintenance", help="for whoever asks why (hactl changes)")
        command.add_argument("--ttl", type=int, default=3600, help="seconds until a forgotten drain ends by itself")
        command.add_argument("--allow-no-successor", action="store_true", help="keep what nobody takes over")
        command.add_argument("--request-id", default=new_request_id(), help="the same one when a job is run again")
        if name == "reboot":
            command.add_argument("command", nargs="+", help="what reboots the node, behind --")
    commands.add_parser("undrain")
    return parser.parse_args()


def main():
    wish = arguments()
    steps = {"drain": drain, "undrain": undrain, "reboot": reboot}
    try:
        with Node(wish.endpoint, Contract(wish.descriptors), wish.cacert, wish.cert, wish.key) as node:
            return steps[wish.command_name](node, wish) or 0
    except Failure as failure:
        print(f"{wish.endpoint}: {failure}", file=sys.stderr)
        if failure.next_step and failure.next_step not in failure.message:
            print(f"next: {failure.next_step}", file=sys.stderr)
        return EXIT.get(failure.code, 1)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
