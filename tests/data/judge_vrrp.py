"""Decodes the VRRP frames of a pcap file by scapy and prints one JSON object a line.

"same" says whether scapy, given only the fields it read, builds the same VRRP octets again,
with the checksum it computes itself.
"""

import json
import logging
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.layers.inet import IP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
import scapy.layers.vrrp  # noqa: E402, F401
from scapy.utils import rdpcap  # noqa: E402

for frame in rdpcap(sys.argv[1]):
    network = frame.getlayer(IP) or frame.getlayer(IPv6)
    if network is None or 112 not in (getattr(network, "proto", None), getattr(network, "nh", None)):
        continue
    octets = bytes(network.payload)
    vrrp = network.payload
    again = network.copy()
    del again.payload.chksum
    rebuilt = bytes(again)[-len(octets) :]
    print(
        json.dumps(
            {
                "version": vrrp.version,
                "vrid": vrrp.vrid,
                "priority": vrrp.priority,
                "addresses": vrrp.addrlist,
                "source": network.src,
                "same": rebuilt == octets,
            }
        )
    )
