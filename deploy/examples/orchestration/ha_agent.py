"""A client of ha-agent for orchestration systems: drain a node, wait until it is drained, undrain it.

Nothing is generated. Messages and methods are made while this runs from the descriptor set that `hactl descriptors`
writes; what they mean is written in the .proto files.

Every failure is a Failure with the agent's own reason. What passes by itself (an agent that is starting, a cut
connection, an answer that did not come in time) is tried again until the caller's time is up. A change goes with a
request_id, and each repetition carries the same one: the agent makes the change once and answers as before.
"""

import time
import uuid

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_status import rpc_status

PACKAGE = "ha.agent.v1"
PORT = 7443  # Where agents listen when an endpoint names no port.

ATTEMPT = 10.0  # Seconds for one call: more than a handover takes, little enough to find another connection in time.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # Seconds between calls that are tried again.
LOOK_AGAIN = 0.2  # Seconds between looks at a node that is on its way.

# grpc would wait up to two minutes before it tries to connect to a node that was down, and never notice that a cable
# was cut. The nodes of a cluster are not behind a web proxy.
CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


class Failure(Exception):
    """What could not be done: the gRPC code, the agent's reason (empty when no agent answered), and what to do next."""

    def __init__(self, code, reason, message, next_step="", retry_after=None):
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.next_step = next_step
        self.retry_after = retry_after

    @classmethod
    def of(cls, error):
        """Reads what an agent attaches to every refusal: google.rpc.ErrorInfo, and RetryInfo when it passes with time."""
        info, retry_after = error_details_pb2.ErrorInfo(), None
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            retry = error_details_pb2.RetryInfo()
            if not detail.Unpack(info) and detail.Unpack(retry):
                retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        message = error.details() or error.code().name
        return cls(error.code().name, info.reason, message, info.metadata.get("next", ""), retry_after)

    @property
    def passes(self):
        """Whether the same call may succeed later. NO_SUCCESSOR is not of these: somebody has to mend something first."""
        if self.code == "RESOURCE_EXHAUSTED":
            return self.retry_after is not None
        return self.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")

    def __str__(self):
        return f"{self.code} ({self.reason or 'no agent answered'}): {self.message}"


class Contract:
    """Messages and methods, from a descriptor set."""

    def __init__(self, path):
        with open(path, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
        self._pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self._pool.AddSerializedFile(file.SerializeToString())

    def method(self, service, method):
        """The path of a method, and the classes of what it takes and gives."""
        found = self._pool.FindServiceByName(f"{PACKAGE}.{service}").FindMethodByName(method)
        request, response = (message_factory.GetMessageClass(kind) for kind in (found.input_type, found.output_type))
        return f"/{PACKAGE}.{service}/{method}", request, response

    def value(self, enum, name):
        """The number of an enumeration's value, as contract.value("Instance.State", "STATE_ACTIVE")."""
        return self._pool.FindEnumTypeByName(f"{PACKAGE}.{enum}").values_by_name[name].number


class Node:
    """One agent: `unix:PATH` for the user that it trusts, `https://HOST:PORT` with certificates on both sides."""

    def __init__(self, endpoint, contract, ca=None, certificate=None, key=None):
        self.contract = contract
        self._channel = _open(endpoint, ca, certificate, key)

    def close(self):
        self._channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def call(self, service, method, within, **fields):
        """Calls a method, and again while that can help, for at most `within` seconds.

        A change must carry a request_id: when no answer comes it may have been made all the same, and the repetition
        must not make it twice.
        """
        path, request, response = self.contract.method(service, method)
        call = self._channel.unary_unary(path, request.SerializeToString, response.FromString)
        end, pause = time.monotonic() + within, FIRST_PAUSE
        while True:
            try:
                return call(request(**fields), timeout=max(min(ATTEMPT, end - time.monotonic()), 0.001))
            except grpc.RpcError as error:
                failure = Failure.of(error)
            wait = failure.retry_after or pause
            if not failure.passes or time.monotonic() + wait >= end:
                raise failure
            time.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    def drain(self, reason, ttl, within, allow_no_successor=False, request_id=None):
        """Hands over all that is Active, make before break, and keeps the node from taking over for `ttl` seconds.

        The drain is kept on the node's disk: after a reboot, too, it takes nothing before it is undrained.
        Raises a Failure with the reason NO_SUCCESSOR when nobody takes something over: nothing is changed then.
        """
        return self.call(
            "NodeService",
            "DrainNode",
            within,
            reason=reason,
            ttl={"seconds": ttl},
            survive_restart=True,
            allow_no_successor=allow_no_successor,
            request_id=request_id or new_request_id(),
        )

    def undrain(self, within, request_id=None):
        """Lets the node take over again. Succeeds also when it is not drained."""
        return self.call("NodeService", "UndrainNode", within, request_id=request_id or new_request_id())

    def wait_until_drained(self, within):
        """Waits until nothing is Active on the node and its kernel has none of the virtual addresses."""
        end = time.monotonic() + within
        while True:
            drain = self.call("NodeService", "GetDrain", _left(end)).drain
            if not drain.drained:
                next_step = "look who undrained it (hactl changes), and drain it again"
                raise Failure("FAILED_PRECONDITION", "DRAIN_ENDED", "the node is not drained any more", next_step)
            kept = [vip.address for vip in self._vips(_left(end)) if vip.kernel_state != self._absent]
            if drain.active_count == 0 and not kept:
                return
            if time.monotonic() >= end:
                message = f"{drain.active_count} virtual routers are still Active; addresses: {', '.join(kept)}"
                raise Failure("DEADLINE_EXCEEDED", "NOT_DRAINED", message, "hactl status names who could take over")
            time.sleep(LOOK_AGAIN)

    def incarnation(self, within):
        """The name of this life of the agent: another one after each start."""
        return self.call("NodeService", "GetNode", within).node.incarnation_id

    def wait_until_ready(self, within, after=None):
        """Waits until the agent answers, is another than the incarnation `after`, and all its virtual routers take part."""
        end = time.monotonic() + within
        while True:
            came = self.incarnation(_left(end)) != after
            idle = [one.name for one in self._instances(_left(end)) if one.state not in self._taking_part]
            if came and not idle:
                return
            if time.monotonic() >= end:
                message = f"these take no part yet: {', '.join(idle)}" if came else "the agent did not start anew"
                raise Failure("DEADLINE_EXCEEDED", "NOT_READY", message, "hactl explain says why")
            time.sleep(LOOK_AGAIN)

    @property
    def _absent(self):
        return self.contract.value("Vip.State", "STATE_ABSENT")

    @property
    def _taking_part(self):
        return [self.contract.value("Instance.State", name) for name in ("STATE_ACTIVE", "STATE_BACKUP")]

    def _vips(self, within):
        return self._pages("VipService", "ListVips", "vips", within)

    def _instances(self, within):
        return self._pages("InstanceService", "ListInstances", "instances", within)

    def _pages(self, service, method, items, within):
        token = ""
        while True:
            page = self.call(service, method, within, page_size=1000, page_token=token)
            yield from getattr(page, items)
            token = page.next_page_token
            if not token:
                return


def new_request_id():
    """One for each change; the same one whenever that change is asked for again."""
    return str(uuid.uuid4())


def _left(end):
    """What is left until `end`, but time enough for one answer."""
    return max(end - time.monotonic(), 1.0)


def _open(endpoint, ca, certificate, key):
    if endpoint.startswith("unix:"):
        # grpc would send the socket's path as the authority, which HTTP/2 does not allow.
        return grpc.insecure_channel(endpoint, [*CHANNEL_OPTIONS, ("grpc.default_authority", "localhost")])
    if not endpoint.startswith("https://"):
        raise ValueError(f"endpoint {endpoint!r} is neither unix:PATH nor https://HOST:PORT")
    if not (ca and certificate and key):
        raise ValueError(f"{endpoint} needs certificates: --cacert, --cert and --key")
    target = endpoint.removeprefix("https://").rstrip("/")
    if ":" not in target.rpartition("]")[2]:
        target = f"{target}:{PORT}"
    contents = [_contents(path) for path in (ca, key, certificate)]
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(*contents), CHANNEL_OPTIONS)


def _contents(path):
    with open(path, "rb") as file:
        return file.read()
