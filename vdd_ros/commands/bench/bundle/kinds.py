"""Every kind of damage that a bundle is tried with, and the check that has to refuse it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from vdd_ros.bundle_manifest import (
    CERTIFICATE,
    CONTRACT,
    MANIFEST,
    NORMALIZER,
    OOD_DETECTOR,
    OPTIONAL,
    PAGE,
    POLICY,
    REFERENCE,
    REQUIRED,
    START,
)
from vdd_ros.certificate import FORMAT_VERSION
from vdd_ros.commands.bench.bundle.doing import (
    add,
    add_folder,
    another_kind,
    change,
    cut,
    edit_manifest,
    edit_rule,
    flip,
    foreign,
    foreign_contract,
    graph,
    grow,
    hash_of_file,
    in_int8,
    link,
    old_signature,
    pipe,
    remove,
    rename_file,
    rewrite,
    rolled_out_elsewhere,
    strangers_signature,
    stray_pickle,
    swap,
    swap_resealed,
    unpickle_me,
    widen_limits,
    wider_limits,
    worse,
)
from vdd_ros.commands.bench.bundle.graph_damage import (
    external,
    gating_beyond_one,
    not_a_number,
    other_horizon,
    other_output,
)
from vdd_ros.commands.bench.bundle.scene import Victim
from vdd_ros.sealed_folder import LARGEST_FILE, LARGEST_JSON, SIGNATURE

FILES = (*REQUIRED, *OPTIONAL)
# what finds that a file is none of its kind; parts of a bundle have a check together
OWN_CHECK = {CONTRACT: "contract", NORMALIZER: "normalizer", CERTIFICATE: "certificate"}


class Kind(NamedTuple):
    """told: what is done, for people; check: that has to refuse it; trusted: whether only bundles
    signed by one key are taken then; file: that a bundle must have for it, empty: any will do."""

    family: str
    told: str
    check: str
    do: Callable[[Victim], None]
    trusted: bool = True
    file: str = ""


def check_of(name: str) -> str:
    """That has to refuse a file of this name which is something else."""
    return "graph" if name.endswith(".onnx") else OWN_CHECK.get(name, "parts")


def _resealed(told: str, check: str, do: Callable[[Victim], None], file: str = "") -> Kind:
    return Kind("hashes made to agree", told, check, do, trusted=False, file=file)


CUT = [Kind("cut off", f"half of {name}", "files", partial(cut, name), file=name) for name in FILES]
CUT += [
    Kind("cut off", f"half of {MANIFEST}", "manifest", partial(cut, MANIFEST)),
    Kind("cut off", f"half of {SIGNATURE}", "signature", partial(cut, SIGNATURE)),
]
LOST = [
    Kind("missing", POLICY, "files", partial(remove, POLICY)),
    Kind("missing", CERTIFICATE, "files", partial(remove, CERTIFICATE)),
    Kind("missing", MANIFEST, "manifest", partial(remove, MANIFEST)),
    Kind("missing", "the signature", "signature", partial(remove, SIGNATURE)),
]
EDITED = [
    Kind("edited", f"one bit of {POLICY}", "files", partial(flip, POLICY)),
    Kind("edited", f"one bit of {NORMALIZER}", "files", partial(flip, NORMALIZER)),
    Kind("edited", f"one bit of {SIGNATURE}", "signature", partial(flip, SIGNATURE)),
    Kind("edited", "bundle_hash", "manifest",
         partial(edit_manifest, reseal=False, bundle_hash="0" * 64)),
    Kind("edited", f"hash of {POLICY}", "manifest", hash_of_file),
    Kind("edited", "acting rule", "manifest", partial(edit_manifest, reseal=False, acting_rule={})),
]  # fmt: skip
SWAPPED = [
    Kind("from another bundle", name, "files", partial(swap, name))
    for name in (POLICY, CERTIFICATE, PAGE, MANIFEST)
] + [Kind("from another bundle", SIGNATURE, "signature", partial(swap, SIGNATURE))]
SIGNED = [
    Kind("signature", "by another key", "signature", strangers_signature),
    Kind("signature", "of the bundle as it was before", "signature", old_signature),
    Kind("signature", "the same, no key is demanded", "signature", old_signature, trusted=False),
    Kind("signature", "of a device result of that hash", "signature", another_kind),
    Kind("signature", "gone, with hashes made to agree", "signature",
         partial(edit_manifest, name="renamed")),
]  # fmt: skip
STRANGE = [
    Kind("files that do not belong", "an extra file", "files", partial(add, "notes.txt")),
    Kind("files that do not belong", "a hidden one", "files", partial(add, ".hidden")),
    Kind("files that do not belong", "a folder", "files", add_folder),
    Kind("files that do not belong", "a pickle", "files", stray_pickle),
    Kind("files that do not belong", f"{POLICY} is a link out", "files", partial(link, POLICY)),
    Kind("files that do not belong", f"{MANIFEST} is a link out", "manifest",
         partial(link, MANIFEST)),
    Kind("files that do not belong", f"{SIGNATURE} is a link out", "signature",
         partial(link, SIGNATURE)),
    Kind("files that do not belong", f"{POLICY} is a named pipe", "files", pipe),
    Kind("too large", f"{POLICY}, by a byte", "files", partial(grow, POLICY, LARGEST_FILE + 1)),
    Kind("too large", f"{MANIFEST}, a terabyte", "manifest", partial(grow, MANIFEST, 1 << 40)),
    Kind("too large", f"{CERTIFICATE}, a terabyte", "files", partial(grow, CERTIFICATE, 1 << 40)),
]  # fmt: skip
ROBOT = [
    Kind("another robot", "its bundle", "robot", foreign),
    _resealed("the contract of another robot", "contract", foreign_contract),
    _resealed("a contract with wider limits", "robot", widen_limits),
    _resealed("a contract with wider limits, of another hash than the manifest says", "contract",
              partial(change, CONTRACT, wider_limits)),
]  # fmt: skip
MANIFESTS = [
    _resealed("a file named ../policy.onnx", "manifest", partial(rename_file, "../policy.onnx")),
    _resealed("a file named /etc/passwd", "manifest", partial(rename_file, "/etc/passwd")),
    _resealed("a file that no bundle has", "manifest", partial(rename_file, "weights.bin")),
    _resealed("an unknown key", "manifest", partial(edit_manifest, teacher="best")),
    _resealed("another format version", "manifest", partial(edit_manifest, format_version=9)),
    _resealed("more experts than there are", "graph", partial(edit_manifest, n_experts=999)),
    _resealed("an acting rule of nothing", "parts", partial(edit_manifest, acting_rule={})),
    _resealed("a billion draws", "parts", partial(edit_rule, draws=10**9, output="sample")),
]
PARTS = [
    _resealed("JSON that nests without end", "parts", partial(rewrite, START, "[" * 200_000)),
    _resealed("a start region of NaN", "parts", partial(rewrite, START, '{"lower": [NaN]}')),
    _resealed("a key that is there twice", "parts", partial(rewrite, START, '{"a": 1, "a": 2}')),
    _resealed("a start region without end", "parts",
              partial(rewrite, START, '{"lower": [1e999], "upper": [' + "9" * 400 + "]}")),
    _resealed("huge JSON", "contract", partial(rewrite, CONTRACT, " " * (LARGEST_JSON + 1))),
    _resealed("a detector of nothing", "parts", partial(change, OOD_DETECTOR, lambda raw: [])),
    _resealed("a reference of nothing", "parts", partial(change, REFERENCE, lambda raw: {})),
    _resealed("a reference of one number", "parts",
              partial(change, REFERENCE, lambda raw: raw | {"means": 1.0})),
    _resealed("a detector of one number", "parts",
              partial(change, OOD_DETECTOR, lambda raw: raw | {"means": 1.0})),
    _resealed("a normalizer of nothing", "normalizer", partial(change, NORMALIZER, lambda r: {})),
    _resealed("a normalizer without a basis", "normalizer",
              partial(change, NORMALIZER, lambda raw: raw | {"basis": None})),
    _resealed("a certificate of nothing", "certificate",
              partial(change, CERTIFICATE, lambda raw: {"format_version": FORMAT_VERSION})),
    _resealed("the certificate of another policy", "certificate",
              partial(swap_resealed, CERTIFICATE, certify=False)),
    _resealed("the certificate of another precision", "certificate",
              partial(change, CERTIFICATE, in_int8)),
    _resealed("a certificate with rollouts of another robot", "certificate",
              partial(change, CERTIFICATE, rolled_out_elsewhere)),
]  # fmt: skip
GRAPHS = [
    _resealed("a graph of other shapes", "graph", partial(graph, other_horizon)),
    _resealed("a graph with another output", "graph", partial(graph, other_output)),
    _resealed("a graph with data elsewhere", "graph", partial(graph, external)),
    _resealed("half a graph", "graph", partial(graph, lambda data: data[: len(data) // 2])),
    _resealed("the graph of another policy", "run", partial(swap_resealed, POLICY)),
    _resealed("a graph that gives NaN", "run", partial(graph, not_a_number)),
    _resealed("gating that adds up to more", "run", partial(graph, gating_beyond_one)),
    _resealed("other reference outputs", "parity", partial(change, REFERENCE, worse)),
]
PICKLES = [
    _resealed(f"a pickle as {name}", check_of(name), partial(unpickle_me, name), name)
    for name in FILES
    if name != PAGE  # which no program reads
]
KINDS = (
    *CUT,
    *LOST,
    *EDITED,
    *SWAPPED,
    *SIGNED,
    *STRANGE,
    *ROBOT,
    *MANIFESTS,
    *PARTS,
    *GRAPHS,
    *PICKLES,
)
