"""Every rule is fed code that breaks it and code that keeps it: a check that can't fail checks nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

import pytest

from tests.house import rules

LONG = "def f():\n" + "    x = 1\n" * 60

CASES: list[tuple[Callable[[str], list[str]], str, str]] = [
    (rules.long_file, "x = 1\n" * 401, "x = 1\n" * 400),
    (rules.long_functions, LONG, "def f():\n    return 1\n"),
    (rules.long_functions, "class A:\n    async " + LONG.replace("\n", "\n    "), "class A:\n    pass\n"),
    (rules.widgets_without_key, "st.button(_('Go'))", "st.button(_('Go'), key='go')"),
    (rules.widgets_without_key, "left.slider(_('Shift'), 1, 5)", "left.slider(_('Shift'), 1, 5, key=key('shift'))"),
    (rules.untranslated, "st.title('Songs')", "st.title(_('Songs'))"),
    (rules.untranslated, "st.error('no')", "_log.error('no')"),
    (rules.untranslated, "st.caption(f'{n} takes')", "st.caption(f'**{n}** · {m}')"),
    (
        rules.untranslated,
        "st.button(_('Go'), help='starts')",
        "st.button(_('Go'), help=_('starts'), icon=':material/go:')",
    ),
    (rules.untranslated, "a.tabs([_('One'), 'Two'])", "a.tabs([_('One'), _('Two')])"),
    (rules.untranslated, "st.info('no' if x else _('yes'))", "st.info(':material/info:')"),
    (rules.untranslated, "st.page_link('pages/a.py', label='A')", "st.page_link('pages/a.py', label=_('A'))"),
    (rules.reads_environment, "import os\nos.environ['HOME']", "import os\nos.getpid()"),
    (rules.reads_environment, "from os import getenv", "from os import getpid"),
    (rules.prints, "print(1)", "pprint(1)"),
    (rules.blind_excepts, "try:\n    f()\nexcept Exception:\n    pass", "try:\n    f()\nexcept ValueError:\n    pass"),
    (rules.blind_excepts, "try:\n    f()\nexcept:\n    pass", "try:\n    f()\nexcept (OSError, ValueError):\n    pass"),
    (rules.blind_excepts, "try:\n    f()\nexcept (OSError, BaseException):\n    pass", "f()"),
    (rules.runs_what_it_reads, "import pickle", "from pickle import UnpicklingError"),
    (rules.runs_what_it_reads, "from joblib import load", "import json"),
    (rules.runs_what_it_reads, "torch.load(file)", "torch.load(file, weights_only=True)"),
    (rules.runs_what_it_reads, "eval('1')", "model.eval()"),
    (rules.runs_what_it_reads, "np.load(file, allow_pickle=True)", "np.load(file)"),
    (rules.runs_what_it_reads, "yaml.load(text, Loader=yaml.Loader)", "yaml.load(text, Loader=yaml.SafeLoader)"),
    (rules.outside_doors, "from studio.engine.engine import Engine", "from studio.ui import shell\nimport streamlit"),
    (rules.outside_doors, "import studio.storage.database", "from studio.services.views import TakeView"),
]


@pytest.mark.parametrize(("rule", "bad", "good"), CASES)
def test_a_rule_tells_bad_from_good(rule: Callable[[str], list[str]], bad: str, good: str) -> None:
    assert len(rule(bad)) == 1
    assert rule(good) == []


def test_a_name_that_says_nothing_is_found_anywhere_in_the_path() -> None:
    assert rules.forbidden_name(PurePath("studio/utils.py"))
    assert rules.forbidden_name(PurePath("studio/common/loader.py"))
    assert not rules.forbidden_name(PurePath("studio/engine/loader.py"))
