"""Words to sing: lines from a small grammar, rhymed in pairs, with the sounds of every syllable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mini.composer.form import Section
from mini.composer.song import Song

# Syllables as they sound: letters as in voice.py (capitals differ: I sit, U put, O law, V cut, 3 her, @ cat, T thin,
# S ship, N sing), a hyphen between syllables.
SOUNDS = dict(
    pair.split("=")
    for pair in (
        "night=nait light=lait tonight=tu-nait bright=brait day=dei away=V-wei stay=stei way=wei today=tu-dei "
        "sky=skai fly=flai high=hai cry=krai goodbye=gUd-bai rain=rein again=V-gein train=trein gold=gould "
        "hold=hould cold=kould old=ould sea=si free=fri me=mi be=bi go=gou know=nou slow=slou glow=glou snow=snou "
        "fire=fai-3 higher=hai-3 desire=di-zai-3 heart=hart start=start apart=V-part time=taim climb=klaim "
        "mine=main line=lain shine=Sain dream=drim seem=sim stream=strim moon=mun soon=sun june=zun ground=graund "
        "sound=saund found=faund around=V-raund road=roud home=houm alone=V-loun hand=h@nd stand=st@nd land=l@nd "
        "love=lVv star=star far=far sun=sVn run=rVn one=wVn wind=wInd song=sON long=lON dance=d@ns "
        "summer=sV-m3 winter=wIn-t3 river=rI-v3 morning=mOr-nIN forever=fOr-e-v3 together=tu-ge-T3 window=wIn-dou "
        "city=sI-ti ocean=ou-SVn mountain=maun-tVn shadow=S@-dou silver=sIl-v3 golden=goul-dVn burning=b3-nIN "
        "empty=em-ti quiet=kwai-Vt open=ou-pVn little=lI-tVl broken=brou-kVn street=strit door=dOr voice=vois "
        "fall=fOl sing=sIN call=kOl wait=weit come=kVm walk=wOk wake=weik feel=fil find=faind hear=hir see=si "
        "turn=t3n leave=liv follow=fO-lou remember=ri-mem-b3 i=ai you=yu we=wi they=Tei my=mai your=yOr our=au3 "
        "the=TV a=V in=In on=On of=Vv and=@nd over=ou-v3 under=Vn-d3 into=In-tu with=wIT through=Tru to=tu "
        "never=ne-v3 always=Ol-weiz will=wIl can=k@n still=stIl oh=ou yeah=ye so=sou all=Ol is=Iz it=It "
        "like=laik are=ar"
    ).split()
)
RHYMES = [
    group.split()
    for group in (
        "night light tonight bright",
        "day away stay way today",
        "sky fly high cry goodbye",
        "rain again train",
        "gold hold cold old",
        "sea free me be",
        "go know slow glow snow",
        "fire higher desire",
        "heart start apart",
        "shine line mine",
        "dream seem stream",
        "moon soon june",
        "ground sound found around",
        "hand stand land",
        "sun run one",
        "long song",
        "road home alone",
    )
]
KINDS = {
    "N": "night light rain river road home heart hand dream star moon sun sky sea wind song summer winter morning "
    "window city ocean mountain shadow fire street door voice love time".split(),
    "A": "silver golden burning empty quiet open little broken long cold bright".split(),
    "V": "fall sing call wait come walk wake feel find hear see turn leave follow remember run fly hold dance".split(),
    "P": "i you we they".split(),
    "M": "my your our the".split(),
    "R": "in on over under into with through".split(),
    "X": "never always will can still".split(),
    "O": "oh yeah so and".split(),
}
# What a line's last word can be: a name of something, something to do, how something is, or when and where.
ENDINGS = {
    "N": "night light day way sky rain train gold sea snow fire desire heart start line dream stream moon june ground "
    "sound hand land sun song road home".split(),
    "V": "stay fly cry hold be go know glow shine run stand start".split(),
    "A": "bright high cold old free slow long alone mine higher found one".split(),
    "T": "tonight away today again goodbye alone apart soon around higher home".split(),
}
PATTERNS = {  # lines up to their last word, by its kind
    "N": "P V R M|R M A|O P V M|M N and M|P X V M A|P V you R the|A N R M|P V like M|all M N and M|R the A N of",
    "V": "P X|M N will|R M N we|O P X V and|R M A N you|you and i will|V with me and|P can see M N",
    "A": "M N is A and|O M N is|M N and you are|P feel so A and|R M N it is|all M N are",
    "T": "P V R M N|P X V M N|V R M A N|O P V|M N is A|P will V you|V me R the N",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line and the sounds of its syllables."""

    text: str
    syllables: tuple[str, ...]


Line = tuple[Word, ...]


@lru_cache(maxsize=64)
def section_lines(song: Song, name: str, number: int, count: int) -> tuple[Line, ...]:
    """The lines of a section; every chorus has the same ones, intro and outro have none."""
    if name not in ("Verse", "Chorus", "Bridge") or not {"vocals"} & set(song.tracks):
        return ()
    which = 0 if name == "Chorus" else number % 3
    rng = np.random.default_rng((song.seed, 2, "VCB".index(name[0]), which))
    lines: list[Line] = []
    for pair in range((count + 1) // 2):
        rhymes = list(rng.permutation(RHYMES[int(rng.integers(len(RHYMES)))]))
        lines += [_line(rng, str(rhymes[0])), _line(rng, str(rhymes[1]))]
        if name == "Chorus" and pair > 0 and rng.random() < 0.5:
            lines[-2] = lines[0]  # the hook comes back
    return tuple(lines[:count])


def _line(rng: np.random.Generator, last: str) -> Line:
    kind = str(rng.choice([kind for kind, words in ENDINGS.items() if last in words] or ["N"]))
    patterns = PATTERNS[kind].split("|")
    pattern = patterns[int(rng.integers(len(patterns)))].split()
    words = [str(rng.choice(KINDS[kind])) if kind in KINDS else kind for kind in pattern]
    return tuple(Word(text, tuple(SOUNDS[text].split("-"))) for text in [*words, last])


def lyrics_of(song: Song, seconds: float | None = None) -> str:
    """Words to sing, with section tags; with `seconds`, only of sections that begin before; empty without vocals."""
    if "vocals" not in song.tracks:
        return ""
    parts = []
    for section in song.sections:
        if seconds is not None and section.start * song.bar_seconds >= seconds:
            break
        parts.append("\n".join([f"[{section.name}]", *(written(line) for line in lines_of(song, section))]))
    return "\n\n".join(parts)


def lines_of(song: Song, section: Section) -> tuple[Line, ...]:
    """One line for each phrase of `section`, or none."""
    return section_lines(song, section.name, section.number, section.phrases)


def written(line: Line) -> str:
    """The line as it is printed."""
    return " ".join("I" if word.text == "i" else word.text for word in line)
