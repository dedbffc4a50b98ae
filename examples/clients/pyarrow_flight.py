"""Ask Scrim with pyarrow alone. Usage: pyarrow_flight.py URL USER PASSWORD PURPOSE SQL (tested here).

pyarrow speaks Flight; Flight SQL is one more protobuf message around the statement, written by hand
here. With ADBC you need none of this: see adbc.py.
"""

import sys

from pyarrow import flight


def field(number, data):
    """A length-delimited protobuf field."""
    length, size = len(data), bytearray()
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    size.append(length)
    return bytes([number << 3 | 2]) + bytes(size) + data


url, user, password, purpose, sql = sys.argv[1:]
statement = field(1, sql.encode())
kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
descriptor = flight.FlightDescriptor.for_command(field(1, kind) + field(2, statement))

with flight.FlightClient(url) as client:
    token = client.authenticate_basic_token(user, password)
    options = flight.FlightCallOptions(headers=[token, (b"x-scrim-purpose", purpose.encode())])
    info = client.get_flight_info(descriptor, options)
    for endpoint in info.endpoints:
        for chunk in client.do_get(endpoint.ticket, options):
            print(chunk.data.to_pylist())
    list(client.do_action(flight.Action("CloseSession", b""), options))
