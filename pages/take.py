"""One take: listening, comparing, what was asked and heard, its lyrics in time, and making it again."""

import streamlit as st

from studio.errors import NotFound
from studio.ui import batches, chips, compare, drawings, jobs, judging, player, shell, take
from studio.ui.history import family
from studio.ui.runtime import studio
from studio.ui.text import _

shell.open_page("take")
try:
    one = studio().library.take(st.query_params.get("id", ""))
except NotFound:
    drawings.draw("no-such-take")
    st.info(_("There is no such take. Choose one in History."), icon=":material/search_off:")
    st.page_link("pages/history.py", label=_("History"), icon=":material/history:")
    st.stop()

batch = studio().library.batch(one.batch_id)
known = studio().takes.details([one.id])[one.id]
batches.head(batch)
st.markdown(_("**Take {number}** · seed {seed}").format(number=one.index + 1, seed=one.seed))
jobs.panel()

other = compare.partner(one, take.comparable(batch))
if other is None:
    take.listen(one, known)
else:
    compare.side_by_side(one, other)
chips.row(known.checks, known.score)
st.caption(player.facts(one))
compare.liked(one)
with st.container(horizontal=True):
    player.files(one, "take")

left, right = st.columns(2, gap="large")
with left:
    st.header(_("Lyrics Timestamps"), anchor=False)
    judging.lyrics(one, known, "take")
    st.header(_("Quality Score"), anchor=False)
    judging.score(one, known, "take")
    st.header(_("LM Codes"), anchor=False)
    judging.codes(one, "take")
with right:
    st.header(_("Asked for and heard"), anchor=False)
    chips.checks(known.checks)
    st.header(_("Make it again"), anchor=False)
    take.replay(one, known)
    st.header(_("Timings"), anchor=False)
    take.timings(one, known)
st.header(_("Settings: asked for and used"), anchor=False)
take.settings(one)
family.draw(one.id)
