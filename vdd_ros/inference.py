"""Policy: one observation window in, a mixture of action chunks out. numpy on both sides.

Every policy's graph has the same signature, in the units of the contract (normalisation is inside):
`window` float32 (To, Do) and optionally `noise` float32 of any shape in; `log_gating` (K,) and
`means` (K, H, A) out. A diffusion policy is a mixture of one. A student may have a second graph,
which tells the mean of one expert alone, in less time.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from vdd_ros.blas import is_blas_fast
from vdd_ros.compiled_expert import CompiledExpert, is_kernel_fast
from vdd_ros.density import Draws, MixtureParameters, draw, log_density
from vdd_ros.errors import UserError
from vdd_ros.graph import Graph, GraphError
from vdd_ros.numpy_expert import NumpyExpert
from vdd_ros.numpy_graph import NumpyGraph
from vdd_ros.onnx_graph import OnnxGraph

T = TypeVar("T")
# compiled: the graph of one expert by a kernel of our own (compiled_expert.py), the others by numpy
Runtime = Literal["compiled", "onnxruntime", "numpy"]
PolicyError = GraphError  # the policy could not be evaluated; the arm is to be brought to rest
GATING_BOUND = 1e-3  # by which the probabilities of the experts may miss 1
WARM_UP_S = 15.0  # of a policy, and of its choice: a robot is to be ready within a minute
MEANS_BOUND = 1e-3  # [unit]; between the means of the policy's graph and of the others beside it


class PolicyOutput(NamedTuple):
    """log_gating: (K,) log-probabilities of the experts; means: (K, H, A) [unit]."""

    log_gating: np.ndarray
    means: np.ndarray


class Expert(Protocol):
    """What a usual tick needs: the gating, and the mean of the expert that is followed."""

    n_experts: int

    def evaluate(self, window: np.ndarray, expert: int) -> tuple[np.ndarray, np.ndarray]:
        """window: (To, Do), oldest first [unit] -> log_gating (K,), mean (H, A) [unit]. Raises
        PolicyError."""
        ...


class Policy(Protocol):
    """noise_shape: shape of the standard normal noise that `infer` takes, None if it takes none;
    density: of the same policy, where samples of its experts are wanted. It says all that `infer`
    does, and takes longer. expert: of the same policy, where there is one; it says of one expert
    what `infer` says of all, and takes less long."""

    n_obs_steps: int
    horizon: int
    action_dim: int
    n_experts: int
    noise_shape: tuple[int, ...] | None
    density: OnnxDensity | None
    expert: Expert | None

    def infer(self, window: np.ndarray, noise: np.ndarray | None = None) -> PolicyOutput:
        """window: (To, Do), oldest first [unit]. Raises PolicyError."""
        ...


def default_runtime(has_expert: bool, in_fp32: bool = True) -> Runtime:
    """Of a bundle that has the graph of one expert, or has none, and whose other graphs are in
    fp32, or are not: the one that is faster on this machine, as measured in docs/runtime.md."""
    is_compiled = has_expert and is_kernel_fast()
    if importlib.util.find_spec("onnxruntime") is None:
        return "compiled" if is_compiled else "numpy"
    if not in_fp32:
        return "compiled" if is_compiled else "onnxruntime"
    if has_expert and is_blas_fast():
        return "compiled" if is_compiled else "numpy"
    return "onnxruntime"


def runtime_of_graphs(runtime: Runtime, in_fp32: bool) -> Runtime:
    """What runs the others where a runtime is for the graph of one expert; numpy has products in
    float32 alone that are quick, and none in int8."""
    if runtime != "compiled":
        return runtime
    has_onnxruntime = importlib.util.find_spec("onnxruntime") is not None
    return "onnxruntime" if has_onnxruntime and not in_fp32 else "numpy"


def runtime_text(runtime: Runtime) -> str:
    """What runs, with its version."""
    if runtime == "compiled":
        return f"vdd_ros' own kernel and numpy {version('numpy')}"
    return f"{runtime} {version(runtime)}"


def open_graph(path: str | Path, runtime: Runtime, threads: int = 1) -> Graph:
    """Raises UserError when the graph cannot be read."""
    return OnnxGraph(path, threads) if runtime == "onnxruntime" else NumpyGraph(path)


class OnnxPolicy:
    """A policy in onnxruntime, or in numpy."""

    expert: Expert | None = None

    def __init__(
        self,
        path: str | Path,
        density: OnnxDensity | None = None,
        expert: Expert | None = None,
        runtime: Runtime = "onnxruntime",
        threads: int = 1,
    ):
        """threads: of onnxruntime, 0 for as many as there are processors. Raises UserError when
        the graph cannot be read or has another signature."""
        self.expert = expert
        self._take(open_graph(path, runtime, threads), path, density)

    def _take(self, graph: Graph, path: str | Path, density: OnnxDensity | None) -> None:
        self.density = density
        self._graph = graph
        inputs, outputs = graph.signature
        self._require_signature(path, inputs, outputs)
        self.noise_shape = inputs.get("noise")
        self.n_obs_steps, self.observation_dim = inputs["window"]
        self.n_experts, self.horizon, self.action_dim = outputs["means"]

    @staticmethod
    def _require_signature(path: str | Path, inputs: dict, outputs: dict) -> None:
        fits = (
            set(inputs) in ({"window"}, {"window", "noise"})
            and set(outputs) == {"log_gating", "means"}
            and len(inputs["window"]) == 2
            and len(outputs["means"]) == 3
            and outputs["log_gating"] == outputs["means"][:1]
        )
        if not fits:
            raise UserError(
                f"{path} takes {inputs} and gives {outputs}; a policy takes window (To, Do), "
                "optionally noise, and gives log_gating (K,) and means (K, H, A): export it again"
            )

    def infer(self, window: np.ndarray, noise: np.ndarray | None = None) -> PolicyOutput:
        """window: (To, Do), oldest first [unit]; noise: `noise_shape`. Raises PolicyError."""
        self._graph.give("window", window)
        if self.noise_shape is not None:
            if noise is None:
                raise PolicyError("this policy needs noise, and none was given")
            self._graph.give("noise", noise)
        self._graph.run()
        return PolicyOutput(
            self._graph.outputs["log_gating"].astype(np.float64),
            self._graph.outputs["means"].astype(np.float64),
        )


class OnnxExpert:
    """expert.onnx in onnxruntime."""

    def __init__(self, path: str | Path):
        """Raises UserError when the graph cannot be read or has another signature."""
        self._graph = OnnxGraph(path)
        inputs, outputs = self._graph.signature
        fits = inputs.get("expert") == () and set(outputs) == {"log_gating", "mean"}
        if not fits or set(inputs) != {"window", "expert"} or len(outputs["mean"]) != 2:
            raise UserError(
                f"{path} takes {inputs} and gives {outputs}; it takes window (To, Do) and expert, "
                "and gives log_gating (K,) and mean (H, A): export it again"
            )
        (self.n_experts,) = outputs["log_gating"]
        self._place = self._graph.inputs["expert"]
        self._log_gating = self._graph.outputs["log_gating"]
        self._mean = self._graph.outputs["mean"]

    def evaluate(self, window: np.ndarray, expert: int) -> tuple[np.ndarray, np.ndarray]:
        """As Expert.evaluate. Raises PolicyError."""
        self._graph.give("window", window)
        self._place[()] = expert
        self._graph.run()
        return self._log_gating.astype(np.float64), self._mean.astype(np.float64)


def open_expert(path: str | Path, runtime: Runtime) -> Expert:
    """Raises UserError when the graph cannot be read or is of another form, or no kernel is there
    to be used."""
    kinds: dict[Runtime, type[OnnxExpert] | type[NumpyExpert] | type[CompiledExpert]] = {
        **{"compiled": CompiledExpert, "numpy": NumpyExpert, "onnxruntime": OnnxExpert}
    }
    return kinds[runtime](path)


def one_by_one(expert: Expert, window: np.ndarray) -> PolicyOutput:
    """What it gives for each expert in turn, as a policy gives it at once. Raises PolicyError."""
    each = [expert.evaluate(window, one) for one in range(expert.n_experts)]
    gatings, means = zip(*each, strict=True)
    return PolicyOutput(gatings[0], np.array(means))


class OnnxDensity:
    """The whole mixture after a window: its graph gives the parameters, numpy the rest.

    The graph takes `window` (To, Do) and gives `log_gating` (K,), `means` (K, D),
    `whitener` (D, D), `factors` and `whitened_factors` (K, D, R) over flattened chunks, in the
    units of the contract.
    """

    def __init__(self, path: Path, runtime: Runtime = "onnxruntime"):
        """Raises UserError when the graph cannot be read or has another signature."""
        self._take(open_graph(path, runtime), path)

    def _take(self, graph: Graph, path: str | Path) -> None:
        self._graph = graph
        inputs, outputs = graph.signature
        if set(inputs) != {"window"} or set(outputs) != set(MixtureParameters._fields):
            raise UserError(
                f"{path} takes {list(inputs)} and gives {list(outputs)}; a density takes window "
                f"and gives {', '.join(MixtureParameters._fields)}: export it again"
            )
        self._mixture = MixtureParameters(**self._graph.outputs)  # until the next evaluation

    def log_prob(self, window: np.ndarray, chunk: np.ndarray) -> float:
        """Log-density of a whole chunk (H, A) after window (To, Do) [nats]. Raises PolicyError."""
        return float(log_density(self._evaluated(window), chunk.reshape(1, -1))[0])

    def draw(self, window: np.ndarray, count: int, rng: np.random.Generator) -> Draws:
        """`count` samples of each expert after window (To, Do). Raises PolicyError."""
        return draw(self._evaluated(window), count, rng)

    def parameters(self, window: np.ndarray) -> MixtureParameters:
        """The mixture after window (To, Do), to be kept. Raises PolicyError."""
        return MixtureParameters(*(part.copy() for part in self._evaluated(window)))

    def _evaluated(self, window: np.ndarray) -> MixtureParameters:
        self._graph.give("window", window)
        self._graph.run()
        return self._mixture


class Warm(NamedTuple):
    """What a call of the policy takes at a usual tick, and a choice among samples, medians [s]; 0
    without a density, which has none."""

    plan_s: float
    choice_s: float


def warm_up(
    policy: Policy,
    window: np.ndarray,
    draws: int,
    calls: int = 50,
    apart: tuple[float, float] = (MEANS_BOUND, GATING_BOUND),
) -> Warm:
    """Evaluate a few times at `window` (To, Do), so that the first live call is as quick as any.

    draws: samples of each expert where the policy has a density; apart: how far the graph of one
    expert, which is in fp32, may be from the policy's in means [unit] and gating. Raises UserError
    when the policy fails, gives something that is no mixture, or has another mixture's density or
    experts.
    """
    shape = policy.noise_shape
    noise = None if shape is None else np.zeros(shape)
    rng = np.random.default_rng(0)
    try:
        output, plan_s = _repeated(lambda: policy.infer(window, noise), calls)
        each: PolicyOutput | None = None
        if (expert := policy.expert) is not None:
            each = one_by_one(expert, window)
            _, plan_s = _repeated(lambda: expert.evaluate(window, 0), calls)
        drawn: Draws | None = None
        choice_s = 0.0
        if (density := policy.density) is not None:
            drawn, choice_s = _repeated(lambda: density.draw(window, draws, rng), calls)
    except PolicyError as error:
        raise UserError(f"the policy cannot be evaluated ({error}): export it again") from None
    log_gating, means = output
    probability = np.exp(log_gating)
    if not (np.isfinite(probability).all() and np.isfinite(means).all()):
        raise UserError("the policy gives numbers that are not finite: export it again")
    if abs(probability.sum() - 1.0) > GATING_BOUND:
        raise UserError(
            f"the policy's gating adds up to {probability.sum():.4g}, not to 1: export it again"
        )
    if each is not None and not _is_same(each, output, apart):
        raise UserError("the graph of one expert is another policy's: export the bundle again")
    if drawn is None:
        return Warm(plan_s, choice_s)
    flat = PolicyOutput(log_gating, means.reshape(len(means), -1))
    if not _is_same(PolicyOutput(drawn.log_gating, drawn.means), flat):
        raise UserError("the density is that of another policy than the bundle's: export it again")
    if not all(np.isfinite(part).all() for part in drawn):
        raise UserError("the density gives numbers that are not finite: export it again")
    return Warm(plan_s, choice_s)


def _is_same(
    found: PolicyOutput,
    policy: PolicyOutput,
    apart: tuple[float, float] = (MEANS_BOUND, GATING_BOUND),
) -> bool:
    """Whether what another graph gave is what the policy gave."""
    if found.means.shape != policy.means.shape:
        return False
    gating = np.abs(np.exp(found.log_gating) - np.exp(policy.log_gating)).max()
    return bool(gating <= apart[1] and np.abs(found.means - policy.means).max() <= apart[0])


def _repeated(call: Callable[[], T], calls: int) -> tuple[T, float]:
    """What the last of several calls gave, and the median of what they took [s]; of slow ones as
    many as fit into `WARM_UP_S`, one at least."""
    taken: list[float] = []
    while len(taken) < calls and sum(taken) <= WARM_UP_S - max(taken, default=0.0):
        begin = time.perf_counter()
        given = call()
        taken.append(time.perf_counter() - begin)
    return given, float(np.median(taken))
