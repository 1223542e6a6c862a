"""granian's server, with other rules for web processes that end, and for the signals that end them.

granian's own server ends for good, and serves no request, when a web process ends twice within six seconds. The methods
replaced here are private to granian, whose version is pinned; ``tests/config/test_serve.py`` tests them.
"""

import signal
import time
from collections.abc import Callable
from multiprocessing import Event
from typing import Any

import structlog
from granian import _signals
from granian._granian import WorkerSignal
from granian.server import Server

from server.restarts import Restarts

LOOK_S = 0.1
ASK_AGAIN_S = 0.5

log = structlog.get_logger(__name__)


class RespawningServer(Server):  # type: ignore[misc, valid-type]
    """Starts a web process again after its end, with growing pauses; ends for good when none can start.

    ``has_loaded`` is set by a web process once it has its application.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, respawn_failed_workers=True, **options)
        self.has_loaded = Event()
        self.restarts = Restarts()

    def _serve_loop(self, spawn_target: Callable[..., None], target_loader: Callable[..., Any]) -> None:
        """Replace granian's loop: return after a signal to stop, or when the web processes cannot start."""
        restarts, start_at = self.restarts, dict[int, float]()
        for index in range(self.workers):
            restarts.note_start(str(index), time.monotonic())
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(LOOK_S if start_at else None)
            self.main_loop_interrupt.clear()
            if self.reload_signal:
                self._reload(spawn_target, target_loader)
            while self.interrupt_children:
                index = self.interrupt_children.pop(0)
                if self.has_loaded.is_set():
                    restarts.note_life(str(index))
                ends = restarts.note_end(str(index), time.monotonic())
                if restarts.cannot_start(str(index)):
                    log.error("web_process_cannot_start", ends=ends)
                    self.interrupt_children.append(index)  # by which granian knows that this is no success
                    return
                pause_s = restarts.pause_s(ends, is_needed=True)
                status = self.wrks[index].inner.exitcode
                log.error("web_process_ended", status=status, ends=ends, starts_again_in_s=pause_s)
                start_at[index] = time.monotonic() + pause_s
            for index in [index for index, at in start_at.items() if at <= time.monotonic()]:
                del start_at[index]
                restarts.note_start(str(index), time.monotonic())
                self._start_again(index, spawn_target, target_loader)

    def _start_again(self, index: int, spawn_target: Callable[..., None], target_loader: Callable[..., Any]) -> None:
        worker = self._spawn_worker(idx=index, target=spawn_target, callback_loader=target_loader)
        try:
            worker.start()
        except OSError as error:  # no process or no memory left: it counts as an end
            log.warning("web_process_not_started", error=error.strerror)
            self.interrupt_children.append(index)
            self.main_loop_interrupt.set()
        else:
            self.wrks[index] = worker

    def _stop_workers(self) -> None:
        """Replace granian's method, which sends one SIGTERM: a process that was only beginning then does not get it."""
        ends_at = time.monotonic() + self.workers_kill_timeout
        while (alive := [worker for worker in self.wrks if worker.is_alive()]) and time.monotonic() < ends_at:
            for worker in alive:
                worker.terminate()
            alive[0].join(ASK_AGAIN_S)
        for worker in alive:
            log.warning("web_process_killed", detail="it did not end when it was told to")
            worker.kill()
            worker.join()
        self.wrks.clear()


def take_signals() -> None:
    """Let this web process take the first SIGTERM or SIGINT in any case, and no more after it.

    granian takes them through the event loop, which loses them while hundreds of callbacks wait; and the third one that
    it takes blocks the process for good.
    """
    _signals.set_loop_signals = _signals_once


def _signals_once(_loop: Any) -> WorkerSignal:
    stop = WorkerSignal()

    def on_signal(*_: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop
