"""The samples read back: damage, and the arithmetic of memory, CPU and processes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ResultError
from bench.results.figures import Bytes, NetworkUse
from bench.samples.cost import agent_cost
from bench.samples.host import HostCpu, host_cpu, network_use
from bench.samples.memory import Phases, memory_of, memory_over
from bench.samples.processes import core_shares_by_process, processes_of
from bench.samples.read import Samples, parse_samples
from bench.samples.tree import Tree, cpu_of, tree_of
from bench.samples.view import HostSamples
from tests.helpers.samples_example import MONOTONIC, WALL, end, full, head, line, sample


def run(*lines: bytes) -> Samples:
    return parse_samples(head() + b"".join(lines) + end(1 + len(lines)))


def server(samples: Samples) -> Tree:
    return tree_of(samples, "server")


def rss(samples: Samples, start: float = -1, stop: float = 99) -> tuple[int, int] | None:
    spread = memory_of(server(samples), (MONOTONIC + start, MONOTONIC + stop)).rss
    return None if spread is None else (spread.median // 1024, spread.peak // 1024)


# ---------------------------------------------------------------- reading


def test_a_closed_file_is_complete() -> None:
    samples = run(sample(0, [1, 100, 0.0]), line(k="gone", target="database", t=0.0, m=MONOTONIC + 3))
    assert samples.complete
    assert samples.footer is not None
    assert samples.footer.reason == "asked"


def test_a_file_without_its_last_line_is_not_complete() -> None:
    samples = parse_samples(head() + sample(0, [1, 100, 0.0]))
    assert (samples.complete, samples.footer, len(samples.samples)) == (False, None, 1)


WHOLE = head() + b"".join(sample(n / 10, [1, 100 + n, n / 100]) for n in range(5)) + end(6)


@given(st.integers(min_value=len(head()), max_value=len(WHOLE)))
def test_a_file_cut_off_anywhere_keeps_its_whole_lines(size: int) -> None:
    samples = parse_samples(WHOLE[:size])
    whole_lines = WHOLE[:size].count(b"\n")
    assert samples.complete == (size == len(WHOLE))
    assert len(samples.samples) == min(whole_lines - 1, 5)


@given(st.binary(min_size=0, max_size=30).filter(lambda junk: b"\n" not in junk))
def test_a_damaged_line_in_the_middle_is_named(junk: bytes) -> None:
    with pytest.raises(ResultError, match=r"damaged on line 3"):
        parse_samples(head() + sample(0, [1, 1, 0.0]) + junk + b"\n" + sample(1, [1, 1, 0.0]))


@pytest.mark.parametrize("data", [b"", b"\n", head()[:50], sample(0, [1, 1, 0.0])])
def test_a_file_without_a_header_is_an_error(data: bytes) -> None:
    with pytest.raises(ResultError, match="line 1"):
        parse_samples(data)


def test_another_versions_file_is_refused() -> None:
    with pytest.raises(ResultError, match="version 2"):
        parse_samples(head(version=2))


@pytest.mark.parametrize("extra", [head(), end(1)])
def test_two_runs_in_one_file_are_damage(extra: bytes) -> None:
    with pytest.raises(ResultError, match="line 2"):
        parse_samples(head() + extra + sample(0, [1, 1, 0.0]))


def test_lost_lines_are_noticed() -> None:
    with pytest.raises(ResultError, match="2 lines before the last, not 7"):
        parse_samples(head() + sample(0, [1, 1, 0.0]) + end(7))


def test_an_unknown_target_is_named() -> None:
    with pytest.raises(ResultError, match="no target 'load'"):
        tree_of(run(sample(0, [1, 1, 0.0])), "load")


# ---------------------------------------------------------------- memory


def test_memory_is_summed_over_the_tree_before_it_is_compared() -> None:
    samples = run(
        sample(0, [1, 100, 0.0], [2, 50, 0.0]),
        sample(1, [1, 100, 0.0], [2, 70, 0.0]),
        sample(2, [1, 400, 0.0]),
    )
    assert rss(samples) == (170, 400)
    assert rss(samples, 0, 1) == (160, 170)
    assert rss(samples, 5, 6) is None


def test_a_sum_that_lacks_a_process_is_no_sum() -> None:
    samples = run(sample(0, [1, 100, 0.0], [2, None, None]), sample(1, [1, 100, 0.0], [2, 70, 0.1]))
    first, second = server(samples).points
    assert (first.rss_bytes, first.unreadable, first.processes) == (None, 1, 2)
    assert second.rss_bytes == 170 * 1024
    assert rss(samples) == (170, 170)


def test_a_tree_that_has_ended_is_not_a_tree_of_no_memory() -> None:
    assert rss(run(sample(0, [1, 100, 0.0]), sample(1))) == (100, 100)


def test_pss_and_uss_are_none_where_the_host_has_none() -> None:
    memory = memory_of(server(run(full(0, [1, None, 7]), full(1, [1, None, 9]))), (MONOTONIC, MONOTONIC + 9))
    assert memory.pss is None
    assert memory.uss is not None
    assert (memory.uss.median, memory.uss.peak, memory.uss.count) == (8 * 1024, 9 * 1024, 2)


def test_the_phases_become_what_results_keep() -> None:
    samples = run(
        full(0, [1, 10, None]), full(5, [1, 30, None]), full(6, [1, 50, None]), full(9, [1, 20, None])
    )
    tree = memory_over(
        server(samples),
        Phases((MONOTONIC, MONOTONIC + 1), (MONOTONIC + 4, MONOTONIC + 7), (MONOTONIC + 8, MONOTONIC + 9)),
    )
    assert tree.pss == Bytes(idle=10 * 1024, median=40 * 1024, peak=50 * 1024, after=20 * 1024)
    assert tree.uss is None
    assert tree.rss == Bytes(idle=1024, median=1024, peak=1024, after=1024)


def test_phases_that_were_not_sampled_are_none() -> None:
    tree = memory_over(server(run(sample(0, [1, 10, 0.0]))), Phases(None, (MONOTONIC + 4, MONOTONIC + 7)))
    assert (tree.rss, tree.pss) == (Bytes(None, None, None), None)


# ---------------------------------------------------------------- CPU


def cpu_seconds(samples: Samples, start: float, stop: float) -> float | None:
    cpu = cpu_of(tree_of(samples, "server"), (MONOTONIC + start, MONOTONIC + stop))
    return None if cpu is None else round(cpu.cpu_seconds, 6)


def test_cpu_used_before_the_run_does_not_count() -> None:
    samples = run(sample(0, [1, 1, 50.0]), sample(2, [1, 1, 51.0]))
    assert cpu_seconds(samples, 0, 2) == 1.0


def test_cpu_is_interpolated_at_the_ends_of_an_interval() -> None:
    samples = run(sample(0, [1, 1, 0.0]), sample(1, [1, 1, 1.0]), sample(2, [1, 1, 1.5]))
    assert cpu_seconds(samples, 0.5, 1.5) == 0.75


def test_a_process_that_ends_keeps_what_it_used_and_one_that_appears_brings_its_own() -> None:
    samples = run(
        sample(0, [1, 1, 1.0], [2, 1, 5.0]),
        sample(1, [1, 1, 1.1], [2, 1, 5.5]),
        sample(2, [1, 1, 1.2], [3, 1, 0.2]),
        sample(3, [1, 1, 1.3], [3, 1, 0.7]),
    )
    assert [round(point.cpu_seconds, 6) for point in server(samples).points] == [0, 0.6, 0.9, 1.5]


def test_a_reused_number_counts_from_nothing() -> None:
    samples = run(sample(0, [1, 1, 5.0]), sample(1), sample(2, [1, 1, 0.25]))
    assert cpu_seconds(samples, 0, 2) == 0.25


def test_a_reading_that_failed_once_is_made_up_by_the_next() -> None:
    samples = run(sample(0, [1, 1, 5.0]), sample(1, [1, None, None]), sample(2, [1, 1, 6.0]))
    assert cpu_seconds(samples, 0, 2) == 1.0


def test_cpu_of_an_interval_that_was_not_sampled_is_none() -> None:
    samples = run(sample(0, [1, 1, 5.0]), sample(1, [1, 1, 6.0]))
    assert cpu_seconds(samples, 3, 4) is None
    assert cpu_of(tree_of(samples, "database"), (MONOTONIC, MONOTONIC + 1)) is None


def test_an_interval_sampled_in_part_says_how_much() -> None:
    cpu = cpu_of(server(run(sample(0, [1, 1, 5.0]), sample(1, [1, 1, 5.5]))), (MONOTONIC - 1, MONOTONIC + 3))
    assert cpu is not None
    assert (cpu.elapsed_seconds, cpu.cpu_seconds, cpu.core_share) == (1.0, 0.5, 0.5)


def test_each_process_of_a_tree_has_its_own_core_share() -> None:
    samples = run(
        sample(0, [1, 1, 5.0], [2, 1, 0.0]),
        sample(1, [1, 1, 5.9], [2, 1, 0.1]),
        sample(2, [1, 1, 6.8], [3, 1, 0.4]),
    )
    shares = core_shares_by_process(server(samples), (MONOTONIC, MONOTONIC + 2))
    assert shares == pytest.approx({1: 0.9, 2: 0.05, 3: 0.2})
    assert core_shares_by_process(server(samples), (MONOTONIC + 5, MONOTONIC + 6)) == {}


@given(
    st.lists(
        st.dictionaries(st.integers(1, 4), st.floats(0, 1e3, allow_nan=False), max_size=4),
        min_size=2,
        max_size=8,
    )
)
def test_the_cpu_of_a_tree_never_falls(trees: list[dict[int, float]]) -> None:
    lines = [sample(n, *([pid, 1, cpu] for pid, cpu in tree.items())) for n, tree in enumerate(trees)]
    seconds = [point.cpu_seconds for point in server(run(*lines)).points]
    assert seconds == sorted(seconds)


# ---------------------------------------------------------------- processes, clocks, the agent


def test_processes_that_come_and_go_are_told() -> None:
    samples = run(
        sample(0, [1, 1, 0.0], [2, 1, 0.0]),
        sample(1, [1, 1, 0.0], [7, 1, 0.0]),
        sample(2, [1, 1, 0.0], [3, 1, 0.0]),
    )
    change = processes_of(server(samples), (MONOTONIC, MONOTONIC + 2))
    assert (set(change.at_start), set(change.at_end)) == ({1, 2}, {1, 3})
    assert (set(change.appeared), set(change.vanished)) == ({3, 7}, {2, 7})
    assert change.changed
    assert not processes_of(server(samples), (MONOTONIC, MONOTONIC + 0.5)).changed
    assert not processes_of(server(samples), (MONOTONIC + 50, MONOTONIC + 60)).changed


def test_a_clock_that_was_set_during_the_run_moves_no_sample() -> None:
    samples = run(full(0, [1, 1, 1]), sample(1, [1, 1, 0.0], t=WALL + 3601.0))
    assert [point.t for point in server(samples).points] == [MONOTONIC, MONOTONIC + 1]


def test_the_samples_show_a_time_of_day_that_was_set_and_set_back() -> None:
    lines = [full(0, [1, 1, 1]), sample(1, [1, 1, 0.0]), sample(2, [1, 1, 0.0], t=WALL + 2 - 60.0)]
    leads = run(*lines, sample(3, [1, 1, 0.0], t=WALL + 3)).wall_leads()
    # Header, the samples that have both clocks, footer.
    assert [lead - leads[0] for lead in leads] == [0.0, 0.0, -60.0, 0.0, 0.0]


def test_the_agents_own_cost_is_told() -> None:
    samples = run(sample(0, [1, 1, 0.0], c=1.0), sample(1, [1, 1, 0.0]), sample(2, [1, 1, 0.0], c=1.02))
    cost = agent_cost(samples, (MONOTONIC, MONOTONIC + 2))
    assert cost.core_share == pytest.approx(0.01)
    assert (cost.missed, cost.late_max_seconds) == (2, 0.5)
    assert agent_cost(samples, (MONOTONIC, MONOTONIC + 1)).core_share is None


def test_times_are_on_our_clock() -> None:
    """The host's monotonic clock is 7 s ahead: its samples are 7 s older than they look."""
    lines = [sample(second, [1, 100 + second, second / 2]) for second in range(4)]
    data = head() + b"".join(lines) + end(5)
    here = HostSamples(parse_samples(data, 7.0), (MONOTONIC - 6, MONOTONIC - 5))
    assert [point.t for point in here.tree("server").points] == [
        MONOTONIC - 7,
        MONOTONIC - 6,
        MONOTONIC - 5,
        MONOTONIC - 4,
    ]
    cpu = here.cpu("server")
    assert cpu is not None
    assert (cpu.cpu_seconds, cpu.elapsed_seconds) == (0.5, 1.0)
    memory = here.memory(
        "server", idle=(MONOTONIC - 7, MONOTONIC - 6.5), after=(MONOTONIC - 4.5, MONOTONIC)
    ).rss
    assert memory == Bytes(100 * 1024, round(101.5 * 1024), 102 * 1024, 103 * 1024)
    assert here.processes("server").at_start == {1}
    assert here.busiest_process("server") == pytest.approx(0.5)


def test_what_all_programs_did_is_told_of_the_cores_that_are_asked_for() -> None:
    samples = run(
        sample(0, [1, 1, 0.0], u=[[10.0, 1.0], [50.0, None]], n=[1_000, 0]),
        sample(1, [1, 1, 0.0]),
        sample(2, [1, 1, 0.0], u=[[11.5, 1.5], [50.5, None]], n=[3_000, 10]),
        sample(9, [1, 1, 0.0], u=[[99.0, 9.0], [99.0, None]], n=[9_000, 99]),
    )
    window = (MONOTONIC, MONOTONIC + 3)
    assert host_cpu(samples, [0], window) == HostCpu(0.75, 0.25)
    assert host_cpu(samples, [1], window) == HostCpu(0.25, None)
    assert host_cpu(samples, [0, 1], window) == HostCpu(1.0, 0.25)
    assert network_use(samples, window) == NetworkUse(1_000.0, 5.0)


def test_one_reading_is_no_use_and_neither_is_a_core_that_is_not_there() -> None:
    samples = run(*(sample(n, [1, 1, 0.0], u=[[float(n), None]], n=[n, n]) for n in range(3)))
    assert host_cpu(samples, [1], (MONOTONIC, MONOTONIC + 3)) is None
    assert host_cpu(samples, [0], (MONOTONIC + 1, MONOTONIC + 1.5)) is None
    assert network_use(samples, (MONOTONIC + 1, MONOTONIC + 1.5)) is None


# ---------------------------------------------------------------- children that have ended


def with_children(seconds: float, *rows: tuple[int, float, float]) -> bytes:
    """A full sample of rows (pid, CPU seconds, CPU seconds of its ended children)."""
    plain = [[pid, 1, cpu] for pid, cpu, _ in rows]
    complete = [[pid, 1, 1, 5, 6, 7, children] for pid, _, children in rows]
    return sample(seconds, *plain, t=WALL + seconds, c=1.0, late=0.0, missed=0, f={"server": complete})


def used_over(*lines: bytes) -> float:
    samples = parse_samples(head() + b"".join(lines) + end(len(lines) + 1))
    return tree_of(samples, "server").points[-1].cpu_seconds


def test_children_that_no_sample_saw_are_counted_when_their_parent_is_told() -> None:
    assert used_over(
        with_children(0, (1, 1.0, 7.0)), with_children(1, (1, 1.5, 7.25)), with_children(2, (1, 1.5, 8.0))
    ) == pytest.approx(1.5)


def test_what_was_seen_of_an_ended_child_is_not_counted_twice() -> None:
    child_seen = sample(0.5, [1, 1, 1.0], [2, 1, 0.3])
    told = with_children(1, (1, 1.0, 0.4))  # it used 0.1 s after it was last seen
    assert used_over(with_children(0, (1, 1.0, 0.0)), child_seen, told) == pytest.approx(0.4)
    late = sample(0.9, [1, 1, 1.0])  # it ended, and its parent waits for it later
    assert used_over(
        with_children(0, (1, 1.0, 0.0)), child_seen, late, told, with_children(2, (1, 1.0, 0.4))
    ) == pytest.approx(0.4)


def test_a_child_that_nobody_waits_for_keeps_what_it_was_seen_with() -> None:
    child_seen = sample(0.5, [1, 1, 1.0], [2, 1, 0.3])
    assert used_over(
        with_children(0, (1, 1.0, 0.0)), child_seen, with_children(1, (1, 1.0, 0.0))
    ) == pytest.approx(0.3)


def test_older_samples_without_childrens_cpu_count_as_before() -> None:
    older = full(1, [1, 1, 1])
    assert used_over(sample(0, [1, 1, 0.0]), sample(0.5, [1, 1, 0.5]), older) == pytest.approx(0.5)
