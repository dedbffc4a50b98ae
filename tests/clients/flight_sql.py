"""The few messages of Flight SQL that pyarrow has no classes for, and a client that sends them.

pyarrow speaks Flight, not Flight SQL. Its transport is the C++ one of the ODBC driver and of many
tools, so these tests reach what ADBC's Go transport does not.
"""

import pyarrow as pa
import pyarrow.flight as flight

TYPE_PREFIX = "type.googleapis.com/arrow.flight.protocol.sql."


def _varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number, value):
    if value is None:
        return b""
    if isinstance(value, (list, tuple)):
        return b"".join(_field(number, item) for item in value)
    if isinstance(value, (bool, int)):
        return _varint(number << 3) + _varint(int(value))
    data = value.encode() if isinstance(value, str) else bytes(value)
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def message(**fields):
    """A protobuf message from `f<number>=value`."""
    return b"".join(_field(int(name[1:]), value) for name, value in fields.items())


def command(name, **fields):
    """A Flight SQL message in the `Any` that Flight carries."""
    return message(f1=TYPE_PREFIX + name, f2=message(**fields))


def parse(data):
    """The fields of a protobuf message; length-delimited ones as bytes, the last of each wins."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        if tag & 7 == 0:
            fields[tag >> 3], at = _read_varint(data, at)
        elif tag & 7 == 2:
            length, at = _read_varint(data, at)
            fields[tag >> 3], at = data[at : at + length], at + length
        else:
            raise ValueError(f"wire type {tag & 7} is not used by Flight SQL")
    return fields


def _read_varint(data, at):
    number, shift = 0, 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


class Client:
    """A signed-in Flight SQL client over pyarrow."""

    def __init__(self, url, user=None, password=None, purpose=None, token=None, **options):
        self.flight = flight.FlightClient(url, **options)
        if token is None:
            token = self.flight.authenticate_basic_token(user, password)
        self.token = token
        headers = [self.token]
        if purpose is not None:
            headers.append((b"x-scrim-purpose", purpose.encode()))
        self.options = flight.FlightCallOptions(headers=headers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.flight.close()

    def info(self, name, **fields):
        """GetFlightInfo of a command."""
        descriptor = flight.FlightDescriptor.for_command(command(name, **fields))
        return self.flight.get_flight_info(descriptor, self.options)

    def read(self, info):
        """Everything behind the one endpoint of a FlightInfo."""
        (endpoint,) = info.endpoints
        return self.flight.do_get(endpoint.ticket, self.options).read_all()

    def ask(self, name, **fields):
        """A command's whole result."""
        return self.read(self.info(name, **fields))

    def query(self, sql):
        """A statement's whole result."""
        return self.ask("CommandStatementQuery", f1=sql)

    def schema(self, sql):
        """GetSchema of a statement."""
        request = command("CommandStatementQuery", f1=sql)
        descriptor = flight.FlightDescriptor.for_command(request)
        return self.flight.get_schema(descriptor, self.options).schema

    def action(self, name, body=b""):
        """The bodies of an action's results."""
        results = self.flight.do_action(flight.Action(name, body), self.options)
        return [result.body.to_pybytes() for result in results]

    def prepare(self, sql):
        """A prepared statement: its handle, and the schemas of its result and its parameters."""
        request = command("ActionCreatePreparedStatementRequest", f1=sql)
        (body,) = self.action("CreatePreparedStatement", request)
        answer = parse(parse(body)[2])
        read = lambda data: pa.ipc.read_schema(pa.py_buffer(data)) if data else pa.schema([])
        return answer[1], read(answer.get(2)), read(answer.get(3))

    def close_session(self):
        """Ends the session; its token is worth nothing afterwards."""
        return self.action("CloseSession")
