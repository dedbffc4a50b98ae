"""Policies that change while queries run: how long a change takes, and what it costs the queries."""

import itertools
import statistics
import threading
import time

import servers

CONTRACTS, AGREEMENTS = 1_000, 10_000
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: many-{number}
version: 1.0.0
status: active
domain: many
servers:
  - server: files
    type: local
    environment: {environment}
    path: data/{environment}/nation.parquet
    format: parquet
schema:
  - name: many_{number}
    physicalName: nation
    properties:
      - {{name: n_nationkey, logicalType: integer}}
      - {{name: n_name, logicalType: string, tags: [direct-identifier]}}
      - {{name: n_regionkey, logicalType: integer}}
      - {{name: n_comment, logicalType: string}}
customProperties:
  - property: accessPolicy
    value:
      purposes: [research]
      guards:
        - {{id: keyed, rows: n_nationkey IS NOT NULL}}
      profiles:
        partner:
          rows: n_regionkey >= 0 AND array_has(agreement.names, n_name)
          columns:
            n_nationkey: clear
            n_regionkey: {{mask: round, to: 10}}
          tagged: {{direct-identifier: {{mask: pseudonymize}}}}
          default: hidden
"""
AGREEMENT = """\
apiVersion: v0.9.0
kind: AccessAgreement
id: many-{number}
status: active
contract: {{id: many-{contract}, version: "^1"}}
profile: partner
consumer:
  organisation: many-{organisation}
  who: "principal.org = 'many-{organisation}' AND array_has(principal.groups, 'analyst')"
purpose: research
start: 2024-01-01
end: 2099-12-31
when: context.hour BETWEEN 0 AND 23
parameters: {{names: [FRANCE, GERMANY]}}
"""


def reload(bench, report, look_up):
    """A small policy set, then a large one; `look_up` asks a server for single orders."""
    for name, contracts, agreements, count, at_most in (
        ("the example's policies", 0, 0, 20, 0.1),
        (f"{CONTRACTS} contracts, {AGREEMENTS} agreements", CONTRACTS, AGREEMENTS, 5, 2.0),
    ):
        world = servers.World(
            bench.folder / f"reload-{contracts}", bench.scrim, bench.rows.parent, bench.rows.name
        )
        _fill(world, contracts, agreements)
        ledger = bench.folder / f"ledger-reload-{contracts}"
        with servers.Server(world, world.configure("reload", ledger)) as server:
            changes = Changes(world.folder / "policies", ledger / "ledger.jsonl")
            report.reload(name, [changes.one() for _ in range(count)], at_most)
            without, during = [], []
            for _ in range(bench.rounds):
                without.append(look_up(server)["p99_ms"])
                with changes:
                    during.append(look_up(server)["p99_ms"])
            report.reloading(name, changes.took, statistics.median(during), statistics.median(without))


def _fill(world, contracts, agreements):
    """Adds contracts and agreements to those of the example."""
    policies = world.folder / "policies"
    for number in range(contracts):
        text = CONTRACT.format(number=number, environment=world.environment)
        (policies / "contracts" / f"many-{number}.odcs.yaml").write_text(text)
    for number in range(agreements):
        text = AGREEMENT.format(
            number=number, contract=number % contracts, organisation=number // contracts
        )
        (policies / "agreements" / f"many-{number}.yaml").write_text(text)


class Changes:
    """Changes an agreement, again and again, each time when the change before is in force."""

    def __init__(self, policies, ledger):
        self.agreement = policies / "agreements" / "globex-region.yaml"
        self.text = self.agreement.read_text()
        self.turn = itertools.count()
        self.ledger = open(ledger, "rb")
        self.took = []

    def one(self):
        """Changes it; the time until the ledger says that the change is in force."""
        self.ledger.seek(0, 2)
        self.agreement.write_text(f"{self.text}\n# change {next(self.turn)}\n")
        start, told = time.perf_counter(), b""
        while b'"entry":"policy_loaded"' not in told:
            if time.perf_counter() - start > 60:
                raise OSError("a change of policies did not come into force within a minute")
            time.sleep(0.001)
            told = told[-64:] + self.ledger.read()
        return time.perf_counter() - start

    def __enter__(self):
        self.ended = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def _run(self):
        while not self.ended:
            self.took.append(self.one())

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
