"""Candidates take turns, and the median of a few rounds counts."""

from gofau.engine.timing import LEAST, MOST, SECONDS, seconds_per_call


class Machine:
    """Calls that take given seconds, one after another, on a clock of its own."""

    def __init__(self, **durations):
        self.now, self.called = 0.0, []
        self.durations = {name: iter(values) for name, values in durations.items()}

    def seconds(self):
        calls = {name: lambda name=name: self.call(name) for name in self.durations}
        return seconds_per_call(calls, clock=lambda: self.now)

    def call(self, name):
        self.called.append(name)
        self.now += next(self.durations[name])


def test_they_take_turns_and_the_first_call_does_not_count():
    machine = Machine(a=[50.0, 1.0, 2.0, 9.0], b=[70.0, 3.0, 3.0, 1.0])
    assert machine.seconds() == {"a": 2.0, "b": 3.0}
    assert machine.called == ["a", "b"] * (1 + LEAST)  # no more than needed, as they are slow


def test_quick_calls_are_measured_more_often_but_not_for_ever():
    slow = [SECONDS / 10] * 99
    machine = Machine(a=slow, b=slow)
    machine.seconds()
    assert LEAST < len(machine.called) / 2 - 1 < MOST
    quick = [1e-6] * 99
    machine = Machine(a=quick, b=quick)
    machine.seconds()
    assert len(machine.called) == 2 * (1 + MOST)
