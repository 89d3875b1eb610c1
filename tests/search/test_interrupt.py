import os
import signal
import threading

import pytest

from search.interrupt import end_run, interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_remembered_until_the_next_safe_place(number: int) -> None:
    with interruptible() as stop:
        stop.check()
        os.kill(os.getpid(), number)
        reached = True  # the signal itself interrupts nothing
        with pytest.raises(KeyboardInterrupt):
            stop.check()
        with pytest.raises(KeyboardInterrupt):  # and it is not forgotten
            stop.check()
    assert reached


def test_a_second_signal_ends_the_run_at_once() -> None:
    with interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_handlers_are_put_back_also_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def fail() -> None:
        with interruptible():
            assert signal.getsignal(signal.SIGINT) != before[0]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_another_thread_can_end_a_run_with_an_error() -> None:
    end_run(RuntimeError("no run is there to hear it"))
    with interruptible() as interruption:
        interruption.check()
        thread = threading.Thread(target=end_run, args=(RuntimeError("the run is another's now"),))
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="the run is another's now"):
            interruption.check()
