"""Decodes the gratuitous ARPs and unsolicited neighbour advertisements of a pcap file by scapy and prints one JSON
object a line.

"same" says whether scapy, given only the fields it read, builds the same octets again, with the checksum it
computes itself.
"""

import json
import logging
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6  # noqa: E402
from scapy.layers.l2 import ARP, Ether  # noqa: E402
from scapy.utils import rdpcap  # noqa: E402

for frame in rdpcap(sys.argv[1]):
    if ARP in frame and frame[ARP].psrc == frame[ARP].pdst:
        octets = bytes(frame[ARP])[:28]
        again = bytes(ARP(**frame[ARP].fields))[:28]
        print(
            json.dumps(
                {
                    "kind": "arp",
                    "to": frame[Ether].dst,
                    "mac": frame[ARP].hwsrc,
                    "address": frame[ARP].psrc,
                    "operation": frame[ARP].op,
                    "same": octets == again,
                }
            )
        )
    elif ICMPv6ND_NA in frame and frame[ICMPv6ND_NA].S == 0:
        packet = frame[IPv6].copy()
        octets = bytes(frame[IPv6])
        del packet[ICMPv6ND_NA].cksum
        advertisement = frame[ICMPv6ND_NA]
        print(
            json.dumps(
                {
                    "kind": "na",
                    "to": frame[IPv6].dst,
                    "mac": frame[ICMPv6NDOptDstLLAddr].lladdr if ICMPv6NDOptDstLLAddr in frame else "",
                    "address": advertisement.tgt,
                    "hop_limit": frame[IPv6].hlim,
                    "override": advertisement.O,
                    "router": advertisement.R,
                    "same": octets == bytes(packet),
                }
            )
        )
