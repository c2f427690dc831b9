"""Spaces that chunks are compared in: where tools go, and what an autoencoder keeps.

    |z - z'|^2    in the network's units, where the principal directions of chunks count alike
    |p - p'|^2 + (METRES_A_RADIAN angle)^2    of each tool at each step of a chunk
    |E(z) - E(z')|^2    of codes

Each in a unit of its own, so that a small change of a chunk counts as much as in the network's
units: the size of a loss, of clipped gradients and the width of a Huber metric stay what they were.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Kinematics as Model
from vdd_ros.errors import UserError
from vdd_ros.kinematics import ORIENTATION_COST, POSITION_COST, Kinematics
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.chunk_autoencoder import ChunkAutoencoder, autoencoder_of
from vdd_ros.policies.objectives.compared import Compared
from vdd_ros.policies.runs import Teacher, training_examples
from vdd_ros.policies.tool_poses import ForwardKinematics, rotation_vector

METRES_A_RADIAN = ORIENTATION_COST / POSITION_COST  # as the inverse kinematics has it
ROWS, CHANGE = 1024, 0.1  # by which the unit of a space is found


class Decoded(nn.Module):
    """(B, R) and (B, C) -> (B, H, Da): the joint positions [unit] that a chunk stands for.

    What the Normalizer does, from the features that a network sees; raises UserError for actions
    that are poses.
    """

    reference: Tensor
    mean: Tensor
    decoder: Tensor
    newest_mean: Tensor
    newest_std: Tensor
    relative: Tensor

    def __init__(self, normalizer: Normalizer, contract: Contract):
        super().__init__()
        meaning = contract.action.meaning
        if contract.action.is_cartesian:
            raise UserError(
                f"actions of contract {contract.name} are poses of tools already ({meaning}): "
                "compare them in space normalised"
            )
        self.meaning, self.dt = meaning, 1.0 / contract.rates.policy_hz
        self.newest, self.seen, _ = normalizer.sizes
        self.joints = contract.observed_joints
        absolute = contract.action.absolute or ()
        moves = [float(name not in absolute) for name in contract.joint_names]
        self.has_products = len(normalizer.reference) > 1 + self.seen
        for name, value in {
            "reference": normalizer.reference,
            "mean": normalizer.chunk_mean,
            "decoder": normalizer.decoder.T,
            "newest_mean": normalizer.newest_mean,
            "newest_std": normalizer.newest_std,
            "relative": moves,
        }.items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    def forward(self, chunks: Tensor, cond: Tensor) -> Tensor:
        cond = cond[:, : self.seen]  # a scale of guidance may follow
        terms = [torch.ones_like(cond[:, :1]), cond]
        if self.has_products:
            first = cond[:, : self.newest]
            terms.append((first[:, :, None] * first[:, None, :]).flatten(1))
        actions = torch.cat(terms, dim=1) @ self.reference + chunks @ self.decoder
        actions = actions.unflatten(1, self.mean.shape) + self.mean
        if self.meaning == "absolute_position":
            return actions
        newest = cond[:, : self.newest] * self.newest_std + self.newest_mean
        anchor = newest[:, self.joints][:, None]
        if self.meaning == "relative_position":
            return actions + self.relative * anchor
        return torch.where(self.relative > 0.0, anchor + (actions * self.dt).cumsum(1), actions)


class ToolSpace(nn.Module):
    """Errors of tools along a chunk [m], and of joints beside them in standardised actions."""

    std: Tensor

    def __init__(self, normalizer: Normalizer, contract: Contract, model: Model):
        super().__init__()
        self.decoded = Decoded(normalizer, contract)
        kinematics = Kinematics(with_kinematics(contract, model))
        self.forward_kinematics = ForwardKinematics(kinematics, contract.n_joints)
        moving = set(kinematics.chain)
        self.beside = [index for index in range(contract.n_joints) if index not in moving]
        self.register_buffer("std", torch.tensor(normalizer.action_std[self.beside]))

    def forward(self, found: Tensor, target: Tensor, cond: Tensor) -> Tensor:
        """Positions, then rotation vectors, then the joints beside."""
        one, other = self.decoded(found, cond), self.decoded(target, cond)
        here, there = self.forward_kinematics(one), self.forward_kinematics(other)
        turns = rotation_vector(there.rotations.mT @ here.rotations)
        parts = [here.positions - there.positions, METRES_A_RADIAN * turns]
        beside = METRES_A_RADIAN * (one - other)[..., self.beside] / self.std
        return torch.cat([*(part.flatten(1) for part in parts), beside.flatten(1)], dim=1)


class CodeSpace(nn.Module):
    """Differences of codes."""

    def __init__(self, net: ChunkAutoencoder):
        super().__init__()
        self.encode = net.encode

    def forward(self, found: Tensor, target: Tensor, cond: Tensor) -> Tensor:
        return self.encode(found) - self.encode(target)


class InUnits(nn.Module):
    """A space in the unit in which small changes of `chunks` count as in the network's units."""

    def __init__(self, space: nn.Module, chunks: Tensor, cond: Tensor):
        super().__init__()
        self.space, self.unit = space.float(), 1.0
        change = CHANGE * torch.randn(chunks.shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            seen = self(chunks + change, chunks, cond)
        self.unit = float((seen.square().sum(1).mean() / change.square().sum(1).mean()).sqrt())

    def forward(self, found: Tensor, target: Tensor, cond: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):  # half precision is centimetres
            return self.space(found.float(), target.float(), cond) / self.unit


def with_kinematics(contract: Contract, model: Model) -> Contract:
    """The contract with the tool that its frames name; raises UserError where the model has none
    of that name."""
    tools = [tool for tool in model.tools if tool.frame == contract.frames.tool]
    if not tools:
        known = ", ".join(tool.frame for tool in model.tools)
        raise UserError(
            f"the kinematics tell of {known}, and the tool of contract {contract.name} is "
            f"{contract.frames.tool}: name a file with --kinematics that tells of it"
        )
    raw = contract.to_dict()
    raw["kinematics"] = {"model": model.model, "tools": [one.model_dump() for one in tools]}
    raw["action"] = {"name": "q", "stream": contract.action.stream, "meaning": "tool_pose"}
    raw["observation"] = [{"name": "q", "stream": "joint_state", "field": "position"}]
    return Contract.from_dict(raw, f"the kinematics with contract {contract.name}")


def compared_in_space(objective: Compared, teacher: Teacher, model: Model | None) -> Compared:
    """An objective that knows what its space is on a teacher's robot; raises UserError for poses of
    tools of a robot whose kinematics nobody tells."""
    if objective.space == "normalised":
        return objective
    contract = teacher.contract
    space: nn.Module
    if objective.space == "tool":
        if model is None:
            raise UserError(
                f"space tool needs to know how joints of {contract.name} move its tool: name a "
                "file with --kinematics, such as config/kinematics/panda_tools.yaml"
            )
        space = ToolSpace(teacher.normalizer, contract, model)
    else:
        space = CodeSpace(autoencoder_of(teacher))
    examples, _ = training_examples(teacher)
    rows = slice(0, ROWS)
    return objective.within(InUnits(space, examples.chunks[rows], examples.cond[rows]))
