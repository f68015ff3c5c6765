"""Results add up over several calls, and become a table."""

import results
from results import Injection


def test_a_file_that_several_calls_add_to(tmp_path):
    """A number that was injected twice counts once, as its last."""
    file = tmp_path / "results"
    first = Injection(fault="a", seed=1, number=0, problem="x")
    for injection in (first, Injection(fault="a", seed=1, number=1), Injection(fault="a", seed=1, number=0)):
        results.append(file, injection)
    assert [(found.number, found.problem) for found in results.read([file, tmp_path / "none"])] == [(0, ""), (1, "")]


def test_the_table():
    """A row a kind that was injected, with what was lost; all of them at the end."""
    found = [
        Injection(fault="a", seed=1, number=0, lost_steps=2, lost_seconds=1.0),
        Injection(fault="a", seed=1, number=1, lost_steps=0, lost_seconds=4.0),
        Injection(fault="b", seed=1, number=0, problem="lost"),
    ]
    table = results.table(found, {"a": "does a", "b": "does b", "c": "does c"})
    assert table.splitlines()[2:] == [
        "| `a` | does a | 2 | 2 | 2 | 2.5 | 4.0 |",
        "| `b` | does b | 1 | 0 |  |  |  |",
        "| all |  | 3 | 2 |  |  |  |",
    ]


def test_the_page(tmp_path):
    """Only what stands between the markers is replaced."""
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- generated: faults -->\nold\n<!-- end of faults -->\nb\n")
    results.write_table(page, "new")
    assert page.read_text() == "a\n<!-- generated: faults -->\nnew\n<!-- end of faults -->\nb\n"
