"""Whether saved episodes are fit to learn from: judged anew, not only as their manifests say."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from vdd_ros.episode import Episode, EpisodeStore
from vdd_ros.episode_log import binned
from vdd_ros.errors import UserError
from vdd_ros.manifest import Level, Manifest, Verdict
from vdd_ros.verdict import judge

TRIMMED, TRIMMED_BEFORE = "trimmed", "before"  # in `meta`: what `vdd dataset trim` notes
IMPORTED_FROM, EXPORTED_AS = "imported_from", "exported_as"  # in `meta`: what an import notes
WORSE: tuple[Level, ...] = ("PASS", "WARN", "FAIL")
SAVED_AS = "it was saved as"
FEW_NAMES = 5  # in one line
AMOUNT = re.compile(r"\d+\.\d+")


def verdict_of(episode: Episode) -> Verdict:
    """The worse of what was said when the episode was saved and what its streams say now."""
    manifest, found = episode.manifest, judged_anew(episode)
    if WORSE.index(found.level) <= WORSE.index(manifest.verdict.level):
        return manifest.verdict
    reasons = tuple(reason for reason in found.reasons if reason not in manifest.verdict.reasons)
    said = f"{SAVED_AS} {manifest.verdict.level} and is none"
    return Verdict(level=found.level, reasons=(*manifest.verdict.reasons, *reasons, said))


def judged_anew(episode: Episode) -> Verdict:
    """What the streams of an episode say, without its manifest's word."""
    manifest = episode.manifest
    ended_ns = manifest.started_ns + round(manifest.duration_s * 1e9)
    lost = {name: stream.lost for name, stream in manifest.streams.items()}
    missing = {name: stream.missing for name, stream in manifest.streams.items()}
    return judge(
        manifest.contract,
        episode.streams,
        manifest.started_ns,
        ended_ns,
        lost,
        missing=missing,
        cameras={} if manifest.camera_file is None else manifest.cameras,
        imported=is_imported(manifest.meta),
    )


def is_imported(meta: Mapping[str, object]) -> bool:
    """Whether an episode was recorded elsewhere, as its notes say."""
    return IMPORTED_FROM in meta or EXPORTED_AS in meta


def beyond_streams(episode: Episode) -> Verdict:
    """What an episode was saved with and its streams do not say, of its cameras, its clocks, its
    calibration or by hand: that holds for what is made of it as well."""
    told, found = episode.manifest.verdict, judged_anew(episode)
    own = [reason for reason in told.reasons if not reason.startswith(SAVED_AS)]
    reasons = _not_among(found.reasons, own)
    if not reasons:
        is_worse = WORSE.index(told.level) > WORSE.index(found.level)
        return Verdict(level=told.level if is_worse else "PASS")
    levels = [level for level in WORSE if any(one.endswith(f"({level})") for one in reasons)]
    is_marked = all(one.endswith(("(WARN)", "(FAIL)")) for one in reasons)
    return Verdict(level=levels[-1] if is_marked else told.level, reasons=tuple(reasons))


def worse_of(found: Verdict, told: Verdict) -> Verdict:
    """The worse of two verdicts on the same recording, with what both say, once."""
    level = max(found.level, told.level, key=WORSE.index)
    return Verdict(level=level, reasons=(*found.reasons, *_not_among(found.reasons, told.reasons)))


def _not_among(known: Sequence[str], reasons: Sequence[str]) -> list[str]:
    """Reasons that are not known, whatever a duration that was rounded makes of their amounts."""
    seen = {AMOUNT.sub("", reason) for reason in known}
    return [reason for reason in reasons if AMOUNT.sub("", reason) not in seen]


def require_fit(episodes: Iterable[Episode]) -> None:
    """Raise UserError at the first episode that would teach a policy nonsense."""
    for episode in episodes:
        _require_no_failure(episode.name, verdict_of(episode))


def require_saved_as_fit(manifest: Manifest) -> None:
    """As `require_fit`, of an episode that was judged anew before."""
    _require_no_failure(manifest.name, manifest.verdict)


def _require_no_failure(name: str, verdict: Verdict) -> None:
    if verdict.level == "FAIL":
        raise UserError(
            f"episode {name} is not fit to learn from, {verdict}; look at it (`vdd dataset show`), "
            f"then delete it or cut out what is sound (`vdd dataset delete`, `trim`)"
        )


def vanished(store: EpisodeStore) -> dict[str, str]:
    """By name, a sentence for each episode that was saved, was not deleted, and is not there."""
    in_bin = binned(store.folder)
    return {
        name: f"{store.folder / name} was saved and is not there: restore it, or have it forgotten "
        f"(`vdd dataset delete {store.folder} {name}`)"
        for name, manifest in sorted(store.log().kept.items())
        if not (store.folder / name).is_dir() and manifest not in in_bin
    }


def told_of_vanished(store: EpisodeStore) -> str:
    """One line on them, for whoever takes the episodes of a folder; empty where there are none."""
    if not (gone := vanished(store)):
        return ""
    return (
        f"not there, and so left out: {named_few(gone)}, saved in {store.folder} and not deleted "
        f"(`vdd dataset check {store.folder}`)"
    )


def named_few(names: Collection[str]) -> str:
    """How many episodes, and the first names."""
    told = ", ".join(list(names)[:FEW_NAMES]) + (", ..." if len(names) > FEW_NAMES else "")
    return f"{len(names)} episode{'s' if len(names) > 1 else ''} ({told})"


def is_failure(manifest: Manifest) -> bool:
    """Whether somebody said that it went wrong, and nothing in it is to be learned: of a policy's
    episode the corrections are, however it ended. What nobody labelled is no failure."""
    return manifest.meta.get("success") is False and not manifest.meta.get("takeovers_s")


def duplicates(manifests: Iterable[Manifest]) -> dict[str, str]:
    """Episodes that are of the same recording as another one before, whole or trimmed, by name: one
    that is held out would not be unseen, one that is trained on would count twice."""
    first: dict[str, str] = {}
    found = {}
    for manifest in manifests:
        recording = _recording_of(manifest)
        other = first.setdefault(recording, manifest.name)
        if other != manifest.name:
            found[manifest.name] = other
    return found


def _recording_of(manifest: Manifest) -> str:
    """sha256 of what was once recorded."""
    note: object = manifest.meta.get(TRIMMED)
    while isinstance(note, dict) and TRIMMED_BEFORE in note:
        note = note[TRIMMED_BEFORE]
    if isinstance(note, dict) and isinstance(note.get("recording_sha256"), str):
        return note["recording_sha256"]
    own = [
        one.sha256
        for name, one in manifest.files.items()
        if name.endswith(".mcap") and "/" not in name
    ]
    return own[0] if own else manifest.name


def warning_of(episode: Episode) -> str:
    """Its verdict where that is a WARN, else nothing; raises UserError as `require_fit` does."""
    verdict = verdict_of(episode)
    _require_no_failure(episode.name, verdict)
    return str(verdict) if verdict.level == "WARN" else ""


def doubts(manifests: Iterable[Manifest], warnings: Mapping[str, str]) -> list[str]:
    """A sentence for every episode that is of the same recording as another one, and for every
    warning, by name."""
    twice = duplicates(manifests)
    told = [f"{name} is of the same recording as {other}" for name, other in twice.items()]
    return told + [f"{name}: {warning}" for name, warning in warnings.items() if warning]
