"""Parts of the watch give way while a machine is short of processors, and a program may ask for a better place in the queue."""

import os
import subprocess
import sys

from productops.agent.watch_parts import PRESSED_S, Part


def part(**more):
    return Part("series", lambda: None, every_s=2.0, **more)


def test_a_part_that_can_wait_comes_far_less_often_while_the_machine_is_crowded_and_the_others_as_ever():
    crowded = [True]
    waiting, urgent = part(pressed=lambda: crowded[0]), part()
    assert (waiting.pause_s(0.5), urgent.pause_s(0.5)) == (PRESSED_S, 1.5)
    crowded[0] = False
    assert waiting.pause_s(0.5) == 1.5


def test_a_better_place_in_the_queue_is_asked_for_and_nothing_happens_where_it_is_refused():
    code = "import os; from productops.agent.priority import ask_for_priority as ask; print(ask(), os.getpriority(os.PRIO_PROCESS, 0))"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, start_new_session=True)  # not for our session
    said = ended.stdout.split()
    assert said in (["True", "-5"], ["False", str(os.getpriority(os.PRIO_PROCESS, 0))])
