"""The bare Flight server that `wire.py` compares with: batches in memory, no rights, no SQL.

Arrow C++ under pyarrow: after the first call no Python runs. Usage: bare.py FILE, an Arrow file;
it prints its port. Every statement is answered with the whole file.
"""

import sys

import pyarrow as pa
import pyarrow.flight as flight


class Bare(flight.FlightServerBase):
    """Sends its batches to whoever asks."""

    def __init__(self, table):
        super().__init__("grpc://127.0.0.1:0")
        self.table = table

    def get_flight_info(self, context, descriptor):
        # ADBC asks for abilities when it connects, and takes a refusal for an answer.
        if b"CommandStatementQuery" not in descriptor.command:
            raise NotImplementedError
        endpoint = flight.FlightEndpoint(b"all", [])
        return flight.FlightInfo(self.table.schema, descriptor, [endpoint], -1, -1)

    def do_get(self, context, ticket):
        return flight.RecordBatchStream(self.table)


def main():
    with pa.OSFile(sys.argv[1]) as file:
        table = pa.ipc.open_file(file).read_all()
    server = Bare(table)
    print(server.port, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
