"""`make bench`: every target of the main job, measured; says plainly which are missed."""

from __future__ import annotations

import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from bench.asking import ask
from bench.house import SCRIPTS, Magpie, emptied, finish, free_port, fresh_url, media_site, run, yt_dlp
from bench.looking import ANSWERS, READERS, Crowd, bare_job, check_same, delays_of
from bench.measure import Report, Result, paired, rate, ratio, seconds
from sandbox.youtube import write_plugin

WIDTH, MANY = 4, 20
BIG = 500_000_000


class Bench:
    """One running service and one media site; each method measures and reports."""

    def __init__(self, directory: Path, site: str, magpie: Magpie, report: Report) -> None:
        self.directory, self.site, self.magpie, self.report = directory, site, magpie, report

    def single(self) -> None:
        ours, bare = paired(self._ours, lambda: finish(yt_dlp(fresh_url(self.site), self.directory)), 9)
        self.report.add(ratio("one 1 MB file, request to finished", 0.2, ours, bare, "warm service / yt-dlp command"))

    def many(self) -> None:
        def together() -> None:
            with ThreadPoolExecutor(MANY) as threads:
                list(threads.map(lambda _: self._ours(), range(MANY)))

        def commands() -> None:
            with ThreadPoolExecutor(WIDTH) as threads:
                list(threads.map(lambda _: finish(yt_dlp(fresh_url(self.site), self.directory)), range(MANY)))

        ours, bare = paired(together, commands, 3)
        self.report.add(ratio("twenty 1 MB files at width 4", 0.1, ours, bare, "service / twenty commands four at a time"))

    def cpu(self) -> None:
        for _ in range(WIDTH):
            self._ours()
        before = self.magpie.cpu()
        for _ in range(MANY):
            self._ours()
        ours = (self.magpie.cpu() - before) / MANY
        before = _children_cpu()
        for _ in range(5):
            finish(yt_dlp(fresh_url(self.site), self.directory))
        self.report.add(ratio("processor time a job", 0.1, ours, (_children_cpu() - before) / 5, "service and workers / yt-dlp command"))

    def big(self) -> None:
        url, numbers = f"{self.site}/blob/{BIG}.mp4", itertools.count()

        def curl() -> None:
            # A new file each time, as ours is: one that is written over again finds its memory ready.
            run(["curl", "-sf", "-o", self.directory / f"big{next(numbers)}.mp4", url])

        ours, bare = paired(lambda: self._fetch(url), curl, 5)
        self.report.add(ratio("500 MB direct file", 1.1, ours, bare, "service / curl"))

    def throttled(self) -> None:
        url = f"{self.site}/throttled/5000/blob/47000000.mp4"
        target = self.directory / "throttled.mp4"
        ours, bare = paired(lambda: self._fetch(url), lambda: run(["curl", "-sf", "-o", target, url]), 2)
        self.report.add(ratio("47 MB from a host that throttles each connection", 0.2, ours, bare, "service / curl"))

    def hls(self) -> None:
        url = f"{self.site}/hls/index.m3u8?delay=60"
        ours, bare = paired(lambda: self._fetch(url), lambda: finish(yt_dlp(url, self.directory, "-N", "1")), 2)
        self.report.add(ratio("HLS, 100 segments at 60 ms", 0.3, ours, bare, "service / one segment at a time"))

    def store(self) -> None:
        url = f"{self.site}/throttled/5000/media/track3min.m4a"
        fetch, hit = [], []
        for _ in range(5):
            fetch.append(seconds(lambda: self._fetch(url, media_type="audio")))
            hit.append(seconds(lambda: self.magpie.download(url, media_type="audio")))
        self.report.add(ratio("store hit", 0.05, statistics.median(hit), statistics.median(fetch), "hit / fetch and convert"))

    def memory(self) -> None:
        with ThreadPoolExecutor(WIDTH) as threads:
            list(threads.map(lambda _: self._ours(), range(WIDTH * 3)))
        count = len(self.magpie.processes()) - 1
        size = self.magpie.scraper_pss()
        self.report.add(Result(name="zygote and four workers", value=size, target=220, unit="MB", detail=f"PSS of {count} processes"))

    def inside(self) -> None:
        answer = self.directory / "inside.json"
        environment = {**self.magpie.environment, "MAGPIE_DATA_DIR": str(self.directory / "inside"), "MAGPIE_PORT": str(free_port())}
        command = [sys.executable, "-m", "bench.inside", self.site, str(answer)]
        subprocess.run(command, check=True, env=environment, timeout=300, stderr=subprocess.DEVNULL)
        seen = json.loads(answer.read_text())
        self.report.add(
            ratio("mp3 conversion, 3 minutes", 1.1, seen["convert_s"], seen["plain_ffmpeg_s"], "phase of the job / plain ffmpeg")
        )
        detail = f"{seen['lag_samples']} samples while twenty jobs run"
        self.report.add(Result(name="event-loop lag, p99", value=seen["lag_p99_ms"], target=15, unit="ms", detail=detail))
        detail = f"median of 7, slowest {seen['cancel_max_ms']:.1f} ms"
        self.report.add(Result(name="cancel until every process is gone", value=seen["cancel_ms"], target=50, unit="ms", detail=detail))

    def logins(self) -> None:
        answer = self.directory / "logins.json"
        command = [sys.executable, "-m", "bench.logins", f"http://127.0.0.1:{self.magpie.port}", str(answer)]
        subprocess.run(command, check=True, timeout=300)
        seen = json.loads(answer.read_text())
        detail = (
            f"{seen['busy_ms']:.1f} ms against {seen['idle_ms']:.1f} ms; {seen['samples']} requests while a hundred logged in, "
            f"which took {seen['all_s']:.1f} s"
        )
        value = seen["busy_ms"] / seen["idle_ms"]
        self.report.add(Result(name="another's request while 100 log in, p99", value=value, target=3, unit="×", detail=detail))

    def eyes(self) -> None:
        seen = self._chat("eyes")
        for name, what in (("steady", "20 updates a second"), ("burst", "a burst of 200")):
            detail = f"{seen[name]:.0f} ms against {seen[f'bare_{name}']:.0f} ms (ours / a bare handler that only reacts; medians of 3)"
            value = seen[name] / seen[f"bare_{name}"]
            self.report.add(Result(name=f"link to 👀, p99, {what}", value=value, target=1.5, unit="×", detail=detail))

    def hit(self) -> None:
        seen = self._chat("hit")
        detail = f"median of 30, slowest {seen['max_ms']:.0f} ms"
        self.report.add(Result(name="chat: stored file back", value=seen["median_ms"], target=200, unit="ms", detail=detail))

    def crowd(self) -> None:
        seen = self._chat("crowd")
        detail = (
            f"{seen['refused']:.0f} refused in all; /help p99 {seen['help_p99_s']:.1f} s; flooded chat answered after "
            f"{seen['flooded_s']:.1f} s; all 50 files after {seen['all_files_s']:.0f} s"
        )
        name = "200 chats, 50 jobs: 429 that were not scripted"
        self.report.add(Result(name=name, value=seen["unscripted_429"], target=0, unit="", detail=detail))

    def idle(self) -> None:
        seen = self._chat("idle")
        detail = f"{seen['service_mb']:.0f} MB against {seen['imports_mb']:.0f} MB; {seen['all_mb']:.0f} MB with the scraper's processes"
        value = seen["service_mb"] / seen["imports_mb"]
        self.report.add(Result(name="idle, PSS against bare imports", value=value, target=1.6, unit="×", detail=detail))
        self.report.add(
            Result(name="idle, share of a core", value=seen["cpu_percent"], target=2, unit="%", detail="20 s, every process of it")
        )

    def _chat(self, name: str) -> dict[str, float]:
        """In a process of its own: the sandbox is in it."""
        place = self.directory / f"chat-{name}"
        place.mkdir()
        command = [sys.executable, "-m", "bench.chat", self.site, str(place), str(place / "answer.json"), name]
        subprocess.run(command, check=True, timeout=900)
        found: dict[str, float] = json.loads((place / "answer.json").read_text())[name]
        return found

    def submit(self) -> None:
        for name, who in (("local", "this machine's user"), ("account", "an account with limits")):
            title, what = f"a submit, by {who}", "submit / a row in its own transaction"
            self.report.add(rate(title, 0.4, self._accepting[name], self._accepting["bare"], what))

    def batch(self) -> None:
        what = "jobs of batches of 100 / single submits"
        self.report.add(rate("jobs in batches", 3, self._accepting["batch"], self._accepting["local"], what))

    @cached_property
    def _accepting(self) -> dict[str, float]:
        """Seconds of each, by name."""
        answer = self.directory / "jobs.json"
        environment = {**self.magpie.environment, "MAGPIE_DATA_DIR": str(self.directory / "jobs"), "MAGPIE_PORT": str(free_port())}
        command = [sys.executable, "-m", "bench.jobs", self.site, str(answer)]
        subprocess.run(command, check=True, env=environment, timeout=300, stderr=subprocess.DEVNULL)
        found: dict[str, float] = json.loads(answer.read_text())
        return found

    def page(self) -> None:
        place = self.directory / "pages"
        place.mkdir()
        answer = place / "answer.json"
        subprocess.run([sys.executable, "-m", "bench.pages", str(place), str(answer)], check=True, timeout=900)
        seen: dict[str, tuple[float, float]] = json.loads(answer.read_text())
        worst_first = sorted(seen, key=lambda case: seen[case][1] / seen[case][0], reverse=True)
        told = [f"{case}: {seen[case][1]:.1f} ms against {seen[case][0]:.1f}" for case in worst_first]
        too_slow = [line for line, case in zip(told, worst_first, strict=True) if seen[case][1] > 2 * seen[case][0]]
        detail = f"the worst of {len(told)} lists: " + "; ".join(too_slow or told[:1])
        few, many = seen[worst_first[0]]
        self.report.add(
            Result(name="a page of a million jobs against one of a thousand", value=many / few, target=2, unit="×", detail=detail)
        )

    def history(self) -> None:
        """On a service of its own: what is filled in is more than any other measurement should carry."""
        service = Magpie(self.directory / "history", self.site)
        service.start()
        try:
            service.warm()
            answer = self.directory / "history.json"
            address, database = f"http://127.0.0.1:{service.port}", service.directory / "magpie.db"
            subprocess.run([sys.executable, "-m", "bench.history", address, str(database), str(answer)], check=True, timeout=600)
        finally:
            service.stop()
        seen: dict[str, float] = json.loads(answer.read_text())
        worst = max(seen, key=seen.__getitem__)
        detail = f"the worst of {len(seen)} medians of 40, over HTTP: " + "; ".join(f"{name} {took:.1f}" for name, took in seen.items())
        self.report.add(Result(name=f"10,000 entries of history, {worst}", value=seen[worst], target=20, unit="ms", detail=detail))

    def readers(self) -> None:
        notes = self.directory / "published.txt"
        service = Magpie(self.directory / "readers", self.site, command=[sys.executable, "-m", "bench.noting", str(notes)])
        service.start()
        try:
            service.warm()
            seen = Crowd(service, self.site, self.directory).follow(READERS)
        finally:
            service.stop()
        delays = delays_of(notes, seen)
        detail = f"the slowest of {len(delays)} events to {READERS} readers, median {statistics.median(delays):.0f} ms"
        self.report.add(Result(name="an event to all its readers", value=max(delays), target=250, unit="ms", detail=detail))
        kilobytes = (seen.with_them - seen.without) * 1e3 / READERS
        detail = f"PSS of the service: {seen.with_them:.1f} MB with {READERS}, {seen.without:.1f} MB without"
        self.report.add(Result(name="memory of a reader", value=kilobytes, target=60, unit="KB", detail=detail))

    def job(self) -> None:
        done = self.magpie.reached(self.magpie.submit(fresh_url(self.site)), "completed")
        silent = self.magpie.reached(self.magpie.submit(f"{self.site}/throttled/1/blob/90000000.mp4"), "processing")
        with bare_job(self.magpie) as port:
            for name, job_id in (("completed", done["job_uuid"]), ("under way", silent["job_uuid"])):
                path = f"/api/jobs/{job_id}"
                check_same(self.magpie.port, port, path)
                ours, bare = [], []
                for _ in range(6):
                    ours.append(ask(self.magpie.port, path, ANSWERS))
                    bare.append(ask(port, path, ANSWERS))
                medians = statistics.median(ours[1:]), statistics.median(bare[1:])
                self.report.add(rate(f"GET /api/jobs/{{id}}, {name}", 0.7, *medians, "ours / a bare handler with the same reads"))
        self.magpie.cancel(silent["job_uuid"])

    def checks(self) -> None:
        plugins = write_plugin(self.directory / "plugins", self.site)
        answer = self.directory / "checks.json"
        environment = {
            **self.magpie.environment,
            "MAGPIE_DATA_DIR": str(self.directory / "checks"),
            "MAGPIE_PORT": str(free_port()),
            "MAGPIE_YTDLP_PLUGIN_DIRS": str(plugins),
        }
        command = [sys.executable, "-m", "bench.checks", self.site, str(plugins), str(answer)]
        subprocess.run(command, check=True, env=environment, timeout=600, stderr=subprocess.DEVNULL)
        seen = json.loads(answer.read_text())
        what = "a scheduled look, until it is over / yt-dlp --flat-playlist -I 1:30 in a warm process"
        self.report.add(ratio("nothing new among 5,000", 1.5, seen["look"], seen["bare"], what))
        detail = f"{1000 * seen['cpu']:.1f} ms against {1000 * seen['bare_cpu']:.1f}; all 1,000 took {seen['all']:.0f} s"
        value = seen["cpu"] / seen["bare_cpu"]
        self.report.add(Result(name="1,000 links with nothing new, CPU a look", value=value, target=1.3, unit="×", detail=detail))

    def backup(self) -> None:
        answer = self.directory / "backup.json"
        subprocess.run([sys.executable, "-m", "bench.backup", str(answer)], check=True, timeout=300)
        seen = json.loads(answer.read_text())
        about = f"{seen['rows']:.0f} rows, {seen['megabytes']:.0f} MB"
        for name, what, detail in (
            ("export", "export of a database", about),
            ("import", "import into an empty database", about),
            ("again", "import in place of as much", f"{about}; what was there is written down first"),
        ):
            self.report.add(Result(name=what, value=seen[name], target=50_000, unit="rows/s", detail=detail, bound="at least"))

    def start(self) -> None:
        helps = [seconds(lambda: run([SCRIPTS / "magpie", "--help"])) for _ in range(7)]
        value = statistics.median(helps[1:])
        self.report.add(Result(name="magpie --help", value=value, target=0.3, unit="s", detail="median of 6"))
        starts = []
        for number in range(4):
            other = Magpie(self.directory / f"start{number}", self.site)
            starts.append(other.start())
            other.stop()
        value = statistics.median(starts[1:])
        self.report.add(
            Result(name="magpie run, ready to serve", value=value, target=4, unit="s", detail="median of 3, empty data directory")
        )

    def _ours(self) -> None:
        self.magpie.download(fresh_url(self.site), media_type="video")

    def _fetch(self, url: str, media_type: str = "video", **more: str) -> None:
        self.magpie.download(url, media_type=media_type, refresh=True, **more)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(names: list[str]) -> int:
    every = [name for name, value in vars(Bench).items() if isinstance(value, Callable) and not name.startswith("_")]  # type: ignore[arg-type]
    unknown = [name for name in names if name not in every]
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are: {', '.join(every)}")
        return 2
    report, began = Report(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="magpie-bench-") as place:
        directory = Path(place)
        emptied(directory / "site")
        with media_site(directory / "site") as site:
            magpie = Magpie(directory / "data", site, workers=WIDTH)
            magpie.start()
            magpie.warm()
            bench = Bench(directory, site, magpie, report)
            try:
                for name in names or every:
                    getattr(bench, name)()
            finally:
                magpie.stop()
    missed = [result.name for result in report.results if not result.is_met]
    if not names:
        print(f"written to {report.write('downloads').relative_to(Path.cwd())}")
    print(
        f"{len(report.results)} measured in {time.monotonic() - began:.0f} s; " + (f"missed: {', '.join(missed)}" if missed else "all met")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
