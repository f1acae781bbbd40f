"""A wall clock that is wrong: a library between a process and the C library."""

import shutil
import subprocess
from pathlib import Path

import pytest

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *);
  long shift = 0;
  FILE *file;
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int status = real(id, t);
  if (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE) return status;
  if (getenv("CLOCK_SHIFT") && (file = fopen(getenv("CLOCK_SHIFT"), "r"))) {
    if (fscanf(file, "%ld", &shift) == 1) t->tv_sec += shift;
    fclose(file);
  }
  return status;
}
int gettimeofday(struct timeval *t, void *zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec;
  t->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *t) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}
"""


def clock(seconds: int) -> dict[str, str]:
    """Variables by which a process sees the wall clock ``seconds`` off; a further call changes it as it runs."""
    if not shutil.which("gcc"):
        pytest.skip("no gcc to shift the clock with")
    library, shift = (Path.cwd().parent / f"{Path.cwd().name}.clock.{kind}" for kind in ("so", "txt"))
    if not library.exists():
        source = library.with_suffix(".c")
        source.write_text(CLOCK)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    shift.write_text(str(seconds))
    return {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(shift)}
