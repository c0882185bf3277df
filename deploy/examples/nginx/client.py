"""Fetches a page every 10 ms until a file appears, then says what was lost.

    client.py URL STOP_FILE

Each request has a connection of its own and half a second. Prints "fetching" once a page came, and at the end how many
requests failed, how, and for how long no page came at all.
"""

import collections
import http.client
import os
import sys
import threading
import time
import urllib.parse

PAUSE = 0.01
PATIENCE = 0.5


class Tally:
    """What became of the requests, by the time at which they ended."""

    def __init__(self):
        self.lock = threading.Lock()
        self.served = []
        self.failed = collections.Counter()
        self.count = 0

    def note(self, problem):
        with self.lock:
            self.count += 1
            if problem is None:
                self.served.append(time.monotonic())
                if len(self.served) == 1:
                    print("fetching", flush=True)
            else:
                self.failed[problem] += 1

    def longest_gap(self):
        times = sorted(self.served)
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        return max(gaps, default=0.0)


def fetch(url, tally):
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=PATIENCE)
    try:
        connection.request("GET", url.path or "/")
        answer = connection.getresponse()
        answer.read()
        tally.note(None if answer.status == 200 else f"status {answer.status}")
    except OSError as error:
        tally.note(type(error).__name__)
    except http.client.HTTPException as error:
        tally.note(type(error).__name__)
    finally:
        connection.close()


def main():
    url, stop = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2]
    tally, threads, due = Tally(), [], time.monotonic()
    while not os.path.exists(stop):
        threads = [thread for thread in threads if thread.is_alive()]
        if len(threads) < 200:
            thread = threading.Thread(target=fetch, args=(url, tally))
            thread.start()
            threads.append(thread)
        due += PAUSE
        time.sleep(max(0.0, due - time.monotonic()))
    for thread in threads:
        thread.join()
    lost = sum(tally.failed.values())
    how = ", ".join(f"{count} {problem}" for problem, count in sorted(tally.failed.items()))
    print(f"{lost} of {tally.count} requests lost{': ' + how if how else ''}")
    print(f"the longest time without a page: {tally.longest_gap() * 1000:.0f} ms")


main()
