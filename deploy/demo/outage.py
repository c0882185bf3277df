"""Pings an address once a millisecond until a file appears, then says how long it was not answered.

    outage.py ADDRESS STOP_FILE

Prints "pinging" once answers come, and at the end the longest outage in milliseconds.
"""

import os
import select
import socket
import struct
import sys
import time

LATE = 0.02  # An answer later than this waited in a queue while nobody held the address.


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def request(number):
    def message(total):
        return struct.pack("!BBHHHQ", 8, 0, total, os.getpid() & 0xFFFF, number & 0xFFFF, number)

    return message(checksum(message(0)))


def main(address, stop):
    echo = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    echo.setblocking(False)
    sent, answered = [], {}
    due = time.monotonic()
    while not os.path.exists(stop):
        try:
            sent.append(time.monotonic())
            echo.sendto(request(len(sent) - 1), (address, 0))
        except OSError:
            pass  # No neighbour: a lost request.
        due = max(due + 0.001, time.monotonic() - 0.01)
        while True:
            left = due - time.monotonic()
            if not select.select([echo], [], [], max(left, 0))[0]:
                break
            packet = echo.recv(2048)
            kind, _, _, owner, _, number = struct.unpack("!BBHHHQ", packet[20:36].ljust(16, b"\0"))
            if kind == 0 and owner == os.getpid() & 0xFFFF and time.monotonic() - sent[number] < LATE:
                if not answered:
                    print("pinging", flush=True)
                answered[number] = True
    times = [at for number, at in enumerate(sent) if number in answered]
    longest = max((after - before for before, after in zip(times, times[1:])), default=0)
    lost = len(sent) - len(answered)
    print(f"the client's outage: {longest * 1000:.0f} ms ({lost} of {len(sent)} pings lost)")


main(*sys.argv[1:])
