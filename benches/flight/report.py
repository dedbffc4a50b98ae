"""The figures as a table for people and as JSON for comparisons."""

import json
import os
import platform


class Report:
    """Lines of figures, each with its goal where there is one."""

    def __init__(self, scale, rounds):
        self.machine = {
            "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "scale_factor": scale, "rounds": rounds,
        }
        self.lines = []
        self.notes = []

    @property
    def good(self):
        """Whether every goal was met."""
        return all(line["met"] is not False for line in self.lines)

    def note(self, text):
        """Something that the reader of the figures must know."""
        self.notes.append(text)

    def failed(self, group, failure):
        """Something that could not be measured."""
        self._add(group, "not measured", str(failure), False)

    def _add(self, group, name, text, met, **figures):
        print(f"{group}: {name}: {text}", flush=True)
        self.lines.append({"group": group, "name": name, "text": text, "met": met, **figures})

    def ratio(self, group, name, ours, other, against, at_most=None, grace=0.0):
        """One cost divided by another, as CPU and as wall time."""
        cpu, wall = ours.cpu / other.cpu, ours.wall / other.wall
        text = (
            f"cpu {ours.cpu:.3f} s ÷ {other.cpu:.3f} s = {cpu:.3f}, "
            f"wall {ours.wall:.3f} s ÷ {other.wall:.3f} s = {wall:.3f} ({against})"
        )
        met = None
        if at_most is not None:
            text += f"; goal ≤ {at_most}" + (f" + {grace * 1e3:.0f} ms" if grace else "")
            met = all(a <= b * at_most + grace for a, b in ((ours.cpu, other.cpu), (ours.wall, other.wall)))
        self._add(group, name, text, met, ours=ours._asdict(), other=other._asdict(), cpu=cpu, wall=wall)

    def stream(self, name, cost, at_most, first):
        """A large result: CPU of both sides, and when its first batch came."""
        text = (
            f"cpu {cost.cpu:.2f} s (goal ≤ {at_most:.2f}), wall {cost.wall:.2f} s, "
            f"first batch after {cost.first * 1e3:.0f} ms"
        )
        met = cost.cpu <= at_most
        if first is not None:
            text += f" (goal ≤ {first * 1e3:.0f})"
            met = met and cost.first <= first
        self._add("stream", name, text, met, **cost._asdict())

    def look_up(self, kind, clients, measured, goal):
        """Look-ups by key: latency at one client, rate at eight."""
        text = ", ".join(f"{name} {value:.2f}" for name, value in measured.items())
        met = None
        if goal:
            both = measured["server_cpu_ms"] + measured["client_cpu_ms"]
            fast = measured["p50_ms"] <= 2.5 if clients == 1 else measured["queries_per_second"] >= 800
            met = fast and both <= 2.0
            wanted = "p50 ≤ 2.5 ms" if clients == 1 else "≥ 800 queries/s"
            text += f"; goal {wanted}, ≤ 2 cpu-ms of both sides (here {both:.2f})"
        self._add("look-up", f"{clients} clients, {kind}", text, met, **measured)

    def reload(self, name, took, at_most):
        """How long changes of policies took until they were in force."""
        middle, longest = sorted(took)[len(took) // 2], max(took)
        text = (
            f"in force after {middle * 1e3:.0f} ms, {longest * 1e3:.0f} ms at most, "
            f"of {len(took)} changes; goal ≤ {at_most * 1e3:.0f} ms"
        )
        self._add("reload", name, text, longest <= at_most, took=took)

    def reloading(self, name, took, during, without):
        """What changes of policies, one after the other, cost the queries that run meanwhile."""
        text = (
            f"p99 {during:.2f} ms ÷ {without:.2f} ms = {during / without:.2f} while {len(took)} "
            f"changes came into force, {max(took) * 1e3:.0f} ms at most; goal ≤ 2"
        )
        met = during <= 2 * without
        self._add("reload", f"look-ups under {name}", text, met, took=took, p99=during)

    def memory(self, streams, slow, idle, peak, at_most):
        """The server's peak above idle."""
        mib = 1024 * 1024
        text = (
            f"peak {peak / mib:.0f} MiB, idle {idle / mib:.0f} MiB, "
            f"above idle {(peak - idle) / mib:.0f} MiB; goal ≤ {at_most / mib:.0f} MiB"
        )
        name = f"{streams} streams of lineitem" + (", read slowly" if slow else "")
        self._add("memory", name, text, peak - idle <= at_most, idle=idle, peak=peak)

    def throughput(self, name, ours, bare, size, at_least):
        """Bytes a second, as a share of what a bare server reaches."""
        share = bare.wall / ours.wall
        rate = lambda cost: size / cost.wall / 1e6
        text = (
            f"{rate(ours):.0f} MB/s ÷ {rate(bare):.0f} MB/s of a bare server = {share:.2f} "
            f"(goal ≥ {at_least}); cpu of both sides {ours.cpu:.2f} s and {bare.cpu:.2f} s"
        )
        figures = {"ours": ours._asdict(), "bare": bare._asdict(), "share": share}
        self._add("wire", name, text, share >= at_least, **figures)

    def faster(self, group, name, ours, other, against, at_least):
        """Rows a second, as a multiple of another reader's."""
        rate = lambda cost: cost.rows / cost.wall
        multiple = rate(ours) / rate(other)
        text = (
            f"{rate(ours) / 1e3:.0f} ÷ {rate(other) / 1e3:.0f} thousand rows/s = {multiple:.2f} "
            f"({against}; goal ≥ {at_least})"
        )
        figures = {"ours": ours._asdict(), "other": other._asdict(), "multiple": multiple}
        self._add(group, name, text, multiple >= at_least, **figures)

    def slower(self, group, name, ours, other, against, at_most):
        """Time, as a multiple of another server's."""
        multiple = ours.wall / other.wall
        text = (
            f"{ours.wall * 1e3:.2f} ms ÷ {other.wall * 1e3:.2f} ms = {multiple:.2f} "
            f"({against}; goal ≤ {at_most}); {ours.rows} rows"
        )
        figures = {"ours": ours._asdict(), "other": other._asdict(), "multiple": multiple}
        self._add(group, name, text, multiple <= at_most, **figures)

    def store(self, name, far, near, transfer, at_most, read, needed, requests):
        """A scan from an object store against the disk plus the transfer, and what was read."""
        multiple = far / (near + transfer)
        text = (
            f"{far:.3f} s ÷ ({near:.3f} s from disk + {transfer:.3f} s transfer) = {multiple:.2f} "
            f"(goal ≤ {at_most}); {read / 1e6:.1f} MB read of {needed / 1e6:.1f} MB needed "
            f"in {requests} requests"
        )
        figures = {"far": far, "near": near, "transfer": transfer, "read": read, "needed": needed}
        self._add("s3", name, text, multiple <= at_most, **figures)

    def wire(self, name, sent, compact, largest, largest_allowed):
        """What really crosses the network."""
        share = sent / compact
        text = (
            f"{sent / 1e6:.1f} MB sent ÷ {compact / 1e6:.1f} MB of compact Arrow = {share:.3f} "
            f"(goal ≤ 1.05); largest message {largest / 2**20:.2f} MiB (goal ≤ 4)"
        )
        met = share <= 1.05 and largest <= largest_allowed
        self._add("bytes", name, text, met, sent=sent, compact=compact, largest=largest)

    def connect(self, name, p50, p99, at_most):
        """Connecting with a password and one small query."""
        text = f"p50 {p50 * 1e3:.2f} ms (goal ≤ {at_most * 1e3:.0f}), p99 {p99 * 1e3:.2f} ms"
        self._add("connect", name, text, p50 <= at_most, p50=p50, p99=p99)

    def crowd(self, clients, seconds, counts, p50, p99, errors):
        """Many clients at once."""
        fairness = max(counts) / max(min(counts), 1)
        text = (
            f"{sum(counts) / seconds:.0f} queries/s, {len(errors)} errors (goal 0), "
            f"max ÷ min of the clients {fairness:.2f} (goal ≤ 2), "
            f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms = {p99 / p50:.1f} × (goal ≤ 10)"
        )
        for error in sorted(set(errors))[:3]:
            self.note(f"crowd: {error}")
        met = not errors and fairness <= 2 and p99 <= 10 * p50
        self._add("crowd", f"{clients} clients, {seconds} s", text, met, counts=counts, p50=p50, p99=p99)

    def print(self):
        """The table."""
        print(f"\n{self.machine}\n")
        words = {True: "met", False: "MISSED", None: ""}
        for line in self.lines:
            print(f"| {line['group']:<9} | {line['name']:<40} | {line['text']} | {words[line['met']]} |")
        for note in self.notes:
            print(f"note: {note}")

    def json(self):
        """Every figure."""
        figures = {"machine": self.machine, "lines": self.lines, "notes": self.notes}
        return json.dumps(figures, indent=1, ensure_ascii=False) + "\n"
