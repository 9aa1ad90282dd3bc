# SPDX-License-Identifier: GPL-2.0-only
"""The fuzz targets of rust/testing/fuzz, each for a short time."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .. import paths, settings
from ..build import cargo
from ..cli import Stop

SECONDS = 30

_STATE = re.compile(r"^#(\d+)\s+[A-Z]+\s+cov: (\d+) ft: \d+ corp: (\d+)/")
_DONE = re.compile(r"^Done (\d+) runs in (\d+) second")
_SUMMARY = re.compile(r"^SUMMARY: (.*)")
_WRITTEN = re.compile(r"Test unit written to (\S+)")

# Debian's Rust has no sanitizers and accepts unstable options only on
# request; the fuzzer's runtime is clang's. The folder is relative to rust/.
_OPTIONS = ["--fuzz-dir", "testing/fuzz", "--sanitizer", "none"]


@dataclass(frozen=True)
class Result:
    """libFuzzer's report on a target."""

    runs: int
    coverage: int
    corpus: int
    crash: str
    """The failure, with the input that causes it; empty if there is none."""


def result(lines: list[str]) -> Result:
    runs = coverage = corpus = 0
    crash: list[str] = []
    for line in lines:
        if match := _STATE.match(line):
            runs, coverage, corpus = int(match[1]), int(match[2]), int(match[3])
        elif match := _DONE.match(line):
            runs = int(match[1])
        elif match := _SUMMARY.match(line):
            crash.append(match[1])
        elif match := _WRITTEN.search(line):
            crash.append(f"input in {match[1]}")
    return Result(runs, coverage, corpus, ", ".join(crash))


def _watch(line: str) -> str | None:
    match = _STATE.match(line)
    return f"{int(match[1]):,} runs, {match[2]} edges, {match[3]} inputs" if match else None


def _environment() -> dict[str, str]:
    asked = ["clang", "-print-file-name=libclang_rt.fuzzer-x86_64.a"]
    runtime = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    if not Path(runtime).is_file():
        raise Stop("clang's runtime for fuzzing is missing", "run: make setup")
    return {"RUSTC_BOOTSTRAP": "1", "CUSTOM_LIBFUZZER_PATH": runtime, "CUSTOM_LIBFUZZER_STD_CXX": "stdc++"}


def targets() -> list[str]:
    folder = paths.repo() / "rust/testing/fuzz/fuzz_targets"
    return sorted(path.stem for path in folder.glob("*.rs"))


def run() -> str:
    cargo.tool("cargo-fuzz")
    environment = _environment()
    seconds = settings.number("SECONDS_EACH", SECONDS, 1)
    seed = cargo.seed()
    names = targets()
    if not names:
        raise Stop("there is no fuzz target in rust/testing/fuzz/fuzz_targets", "run this in a complete checkout")
    print(f"  {len(names)} targets, {seconds} s each, seed {seed}", flush=True)
    cargo.build("fuzz-build", ["fuzz", "build", *_OPTIONS], **environment)
    total = 0
    for name in names:
        total += _one(name, seconds, seed, environment).runs
    return f"{len(names)} targets, {total:,} inputs tried, no crash, seed {seed}"


def _one(name: str, seconds: int, seed: int, environment: dict[str, str]) -> Result:
    """New inputs go to the build directory; the committed corpus is only read."""
    finds = paths.build() / f"fuzz/{name}"
    finds.mkdir(parents=True, exist_ok=True)
    corpus = paths.repo() / f"rust/testing/fuzz/corpus/{name}"
    folders = [str(finds), *([str(corpus)] if corpus.is_dir() else [])]
    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={finds.parent}/crash-{name}-"]
    done = cargo.run(
        f"fuzz-{name}",
        ["fuzz", "run", *_OPTIONS, name, *folders, "--", *options],
        _watch,
        seconds + 120,
        **environment,
    )
    found = result(done.lines)
    if found.crash or done.code or not done.in_time:
        raise Stop(
            f"target {name}: {found.crash or f'ended with {done.code}'}",
            f"read {done.log_shown}; the input stays until it is deleted",
        )
    if not found.runs or not found.coverage:
        raise Stop(f"target {name} was not instrumented or did not run", f"see why in {done.log_shown}")
    return found
