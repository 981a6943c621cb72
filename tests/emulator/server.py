"""The process of the emulator: `python -m emulator.server`, started by `client.Emulator`."""

from __future__ import annotations

import os
import signal
import threading
import time

from emulator import options


def _end_with(parent: int) -> None:
    """End this process and all it started when the tests that started it are gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main() -> None:
    options.check_version()
    chosen = options.Options.of_environment()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    from ministack import app

    from emulator import (
        athena,
        bucket_configurations,
        deliveries,
        differences,
        event_sources,
        glue_jobs,
        lambdas,
        metric_namespaces,
        recording,
        request_arns,
        resharding,
        resources,
    )

    request_arns.install()
    metric_namespaces.install()
    recording.install(chosen.calls)
    differences.install(chosen)
    resources.install(chosen)
    bucket_configurations.install()
    lambdas.install(chosen)
    deliveries.install()
    resharding.install()
    event_sources.install()
    glue_jobs.install(chosen)
    athena.install()
    app.main()


if __name__ == "__main__":
    main()
