"""The generated reference says what the declarations say."""

import re

import pytest

from app.environment import load
from app.settings import FIELDS, variable
from entrypoint import reference
from entrypoint.commands import COMMANDS


@pytest.mark.parametrize("path", reference.files(), ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path):
    """What is in the repository equals what scripts/settings-docs would write."""
    assert path.read_text(encoding="utf-8") == reference.files()[path], "run scripts/settings-docs"


def test_every_setting_and_command_is_documented():
    """Nothing that a user can give is missing from the pages."""
    settings, commands = reference.settings_page(), reference.commands_page()
    assert [name for name in FIELDS if f"| `{name}` |" not in settings] == []
    assert [name for name in COMMANDS if f"## {name}\n" not in commands] == []


def test_env_example_can_be_used_as_it_is(tmp_path):
    """With every line's `#` taken off, .env.example still gives the defaults."""
    text = "\n".join(line.removeprefix("#") for line in reference.env_example().splitlines() if "=" in line)
    (tmp_path / ".env").write_text(text)
    assert load({}, {}, tmp_path / ".env") == load({}, {}, None)


def test_fill_replaces_only_between_its_markers():
    """The README's own words stay; a file without markers stays whole."""
    text = "a\n<!-- generated: settings -->\nold\n<!-- end of settings -->\nb"
    filled = reference.fill(text, "settings", "new")
    assert filled == "a\n<!-- generated: settings -->\nnew\n<!-- end of settings -->\nb"
    assert reference.fill("no markers", "settings", "new") == "no markers"


def test_compose_reads_no_variable_that_env_example_leaves_out():
    """What compose.yaml interpolates is a setting or a compose-level variable, with the same default."""
    text = "".join((reference.ROOT / name).read_text() for name in ("compose.yaml", "compose.cpu.yaml"))
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    used |= dict.fromkeys(re.findall(r"\$\{(\w+):\+[^}]*\}", text), "")
    assert "${" not in re.sub(r"\$\{\w+:[-+][^}]*\}", "", text), "every variable has a default"
    documented = {name: value for name, value, _ in reference.COMPOSE_VARIABLES}
    assert set(used) - set(documented) <= {variable(name) for name in FIELDS}
    assert set(documented) - set(used) <= {
        "COMPOSE_FILE",
        "COMPOSE_PROFILES",
        "COMPOSE_PROJECT_NAME",
        "CUDA_VISIBLE_DEVICES",
        "TF_CONFIG",
    }
    assert {n: v for n, v in used.items() if documented.get(n)} == {n: documented[n] for n in used if documented.get(n)}
