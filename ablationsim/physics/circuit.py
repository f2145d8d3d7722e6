"""From what the generators ask for to the voltage of every terminal.

A channel is one generator with its electrodes: positive terminals against the ground pad (monopolar) or against
negative terminals (bipolar, no net current into the tissue). Electrodes whose generator is off float: they carry no
net current.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablationsim.device.signals import Demand
from ablationsim.errors import SolverError
from ablationsim.fem.kernels import Array


@dataclass(frozen=True)
class Channel:
    """Terminal numbers on the two poles of a generator; without negative terminals the return is the ground pad."""

    positive: tuple[int, ...]
    negative: tuple[int, ...] = ()


@dataclass(frozen=True)
class CircuitState:
    """Voltages of the terminals ``(k,)`` [V], and voltage [V], current [A] and conductance [S] of each channel."""

    terminal_voltage: Array
    voltage: Array
    current: Array
    conductance: Array


def solve_circuit(conductance: Array, channels: list[Channel], demands: list[Demand]) -> CircuitState:
    """Voltages that meet every generator's demand within its limits.

    Parameters
    ----------
    conductance : (k, k) array
        Conductance matrix of the terminals [S].
    channels, demands : lists of equal length
        The generators and what each asks for.

    Raises
    ------
    SolverError
        If the demands of coupled generators cannot be met together.
    """
    response = _response(conductance, channels, [d.kind != "off" for d in demands])
    sums = np.array([[float(t in c.positive) for t in range(len(conductance))] for c in channels])
    currents_per_volt = sums @ conductance @ response
    # Conductance that a generator sees; an electrode that floats is probed alone, which gives its standby impedance.
    seen = np.diag(currents_per_volt).copy()
    voltage = np.zeros(len(channels))
    for _ in range(200):
        wanted = np.array([d.voltage_for(g) if d.kind != "off" else 0.0 for d, g in zip(demands, seen, strict=True)])
        change = float(np.max(np.abs(wanted - voltage), initial=0.0))
        voltage = wanted
        current = currents_per_volt @ voltage
        live = voltage > 0.0
        seen[live] = current[live] / voltage[live]
        if change <= 1e-12 * float(np.max(voltage, initial=0.0)):
            return CircuitState(response @ voltage, voltage, current, seen)
    raise SolverError(
        "The generators' demands cannot be met together: the electrodes are so closely coupled that their voltages do "
        "not settle. Switch them in turn (steps with mode = 'off') or drive them as one electrode."
    )


def _response(conductance: Array, channels: list[Channel], driven: list[bool]) -> Array:
    """Terminal voltages ``(k, channels)`` for one volt between the poles of each channel, all others at zero volt.

    A channel that is off contributes floating terminals to the others; its own column is its answer when driven.
    """
    k = len(conductance)
    columns = []
    for c in range(len(channels)):
        lhs, rhs = np.zeros((k, k)), np.zeros(k)
        row = 0
        for other, member in enumerate(channels):
            if other != c and not driven[other]:
                groups = [group for group in (member.positive, member.negative) if group]
                for group in groups:
                    row = _tie(lhs, row, group)
                    lhs[row] = _balance(conductance, group)
                    row += 1
                continue
            row = _tie(lhs, row, member.positive)
            lhs[row, member.positive[0]] = 1.0
            rhs[row] = 1.0 if other == c else 0.0
            if member.negative:
                lhs[row, member.negative[0]] = -1.0
                row = _tie(lhs, row + 1, member.negative)
                lhs[row] = _balance(conductance, member.positive + member.negative)
            row += 1
        columns.append(np.linalg.solve(lhs, rhs))
    return np.column_stack(columns)


def _balance(conductance: Array, group: tuple[int, ...]) -> Array:
    """Row that makes the net current of a group of terminals vanish.

    Where nothing but the group conducts (no ground: an insulated body), the net current vanishes at any common
    voltage; the row then holds the first terminal of the group at zero volt.
    """
    row = np.asarray(conductance[list(group)].sum(axis=0))
    if np.max(np.abs(row)) <= 1e-9 * np.max(np.abs(conductance)):
        row = np.zeros(len(conductance))
        row[group[0]] = 1.0
    return row


def _tie(lhs: Array, row: int, group: tuple[int, ...]) -> int:
    """Rows that hold the terminals of a group at one voltage; returns the next free row."""
    for terminal in group[1:]:
        lhs[row, group[0]], lhs[row, terminal] = 1.0, -1.0
        row += 1
    return row
