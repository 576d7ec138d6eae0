"""Pictures of spikes, membrane potentials and weights: data and axes in, axes out.

Without axes a function makes a figure of its own, which belongs to nobody but the caller: ``ax.figure.savefig(path)``
works without a display, and nothing has to be closed. Names stand above the axes: stack several in a figure with
``layout="constrained"``, which makes room for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from snn.spike_trains import SpikeTrains
from snn.topology import Connections

_MAX_NAMED_TRACES = 10  # a longer legend would hide the picture


def raster(trains: SpikeTrains, ax: Any = None) -> Any:
    """One mark per spike, time to the right, neurons upwards, one colour per population.

    Parameters
    ----------
    ax : matplotlib axes to draw into; None makes a figure

    Returns
    -------
    The axes; one line per population, its label the name and the number of neurons

    Raises
    ------
    ImportError : matplotlib is not installed.
    """
    ax = _axes(ax, height=3.6)
    height_points = ax.get_window_extent().height * 72 / ax.figure.dpi
    mark_points = float(np.clip(height_points / max(trains.n_neurons, 1), 1.5, 14.0))
    first = 0
    for index, (name, size) in enumerate(trains.populations.items()):
        part = trains.population(name)
        ax.plot(
            part.times_ms,
            part.neurons + first,
            linestyle="none",
            marker="|",
            markersize=mark_points,
            markeredgewidth=0.6 if mark_points < 2 else 0.9,
            color=f"C{index}",
            label=f"{name} ({size})",
            rasterized=True,  # a vector file of a million marks opens nowhere
        )
        if first:
            ax.axhline(first - 0.5, color="0.8", linewidth=0.6, zorder=0)
        first += size
    ax.set(xlabel="time (ms)", ylabel="neuron", xlim=_time_limits(trains.duration_ms))
    ax.set_ylim(-0.5 - 0.01 * first, first - 0.5 + 0.01 * max(first, 1))
    ax.yaxis.get_major_locator().set_params(integer=True)
    _legend_above(ax, mark_points=7.0)
    return ax


def psth(trains: SpikeTrains, bin_ms: float, ax: Any = None) -> Any:
    """Peri-stimulus time histogram: firing rate per bin, mean over all neurons.

    Parameters
    ----------
    bin_ms : float, a whole number of steps that divides the recording
    ax : matplotlib axes to draw into; None makes a figure

    Returns
    -------
    The axes, with one step patch in Hz per neuron

    Raises
    ------
    ValueError : a bin that does not divide the recording.
    ImportError : matplotlib is not installed.
    """
    rate_hz = trains.mean_rate_hz(bin_ms)
    ax = _axes(ax, height=2.6)
    ax.stairs(rate_hz, bin_ms * np.arange(len(rate_hz) + 1), fill=True, color="C0", alpha=0.85)
    ax.set(xlabel="time (ms)", ylabel="rate (Hz per neuron)", xlim=_time_limits(trains.duration_ms))
    ax.set_ylim(bottom=0)
    ax.set_title(f"{trains.n_neurons} neurons, bins of {bin_ms:g} ms", loc="left", fontsize="medium")
    return ax


def population_rates(trains: SpikeTrains, bin_ms: float, ax: Any = None) -> Any:
    """Firing rate of every population, a point in the middle of each bin.

    Parameters
    ----------
    bin_ms : float, a whole number of steps that divides the recording
    ax : matplotlib axes to draw into; None makes a figure

    Returns
    -------
    The axes; one line per population, in Hz per neuron

    Raises
    ------
    ValueError : a bin that does not divide the recording.
    ImportError : matplotlib is not installed.
    """
    rates_hz = {name: trains.population(name).mean_rate_hz(bin_ms) for name in trains.populations}
    ax = _axes(ax, height=2.8)
    for index, (name, rate_hz) in enumerate(rates_hz.items()):
        ax.plot(bin_ms * (np.arange(len(rate_hz)) + 0.5), rate_hz, color=f"C{index}", linewidth=1.3, label=name)
    ax.set(xlabel="time (ms)", ylabel="rate (Hz per neuron)", xlim=_time_limits(trains.duration_ms))
    ax.set_ylim(bottom=0)
    _legend_above(ax)
    return ax


def membrane_traces(
    V_m: ArrayLike,
    resolution_ms: float,
    ax: Any = None,
    *,
    spikes: SpikeTrains | None = None,
    V_th: float | None = None,
) -> Any:
    """Membrane potentials over time, with the spikes as marks above them.

    Parameters
    ----------
    V_m : (n_steps, n_neurons) in mV, at the end of each step
    resolution_ms : float, ms per step
    ax : matplotlib axes to draw into; None makes a figure
    spikes : of the same neurons, one row of marks per neuron
    V_th : float, threshold in mV, a dashed line

    Returns
    -------
    The axes; one line per neuron, then the threshold, then one line of marks per neuron

    Raises
    ------
    ValueError : `V_m` is no matrix, or `spikes` has another number of neurons.
    ImportError : matplotlib is not installed.
    """
    potentials = np.asarray(V_m, dtype=np.float64)
    if potentials.ndim != 2:
        raise ValueError(f"V_m has shape {potentials.shape}, expected (n_steps, n_neurons): use V_m[:, None] for one.")
    n_steps, n_neurons = potentials.shape
    if spikes is not None and spikes.n_neurons != n_neurons:
        raise ValueError(f"V_m has {n_neurons} neurons, but spikes has {spikes.n_neurons}: give those of V_m.")
    ax = _axes(ax, height=3.0)
    times_ms = resolution_ms * np.arange(1, n_steps + 1)
    for neuron in range(n_neurons):
        ax.plot(times_ms, potentials[:, neuron], color=f"C{neuron}", linewidth=1.1, label=f"neuron {neuron}")
    if V_th is not None:
        ax.axhline(V_th, color="0.4", linewidth=0.9, linestyle="--", label="threshold", zorder=1)
    if spikes is not None:
        low, top = ax.get_ylim()
        row_mV = 0.06 * (top - low)
        for neuron, spike_ms in enumerate(spikes.trains()):
            rows = np.full(len(spike_ms), top + row_mV * (neuron + 0.5))
            ax.plot(spike_ms, rows, linestyle="none", marker="|", markersize=6, color=f"C{neuron}")
        ax.set_ylim(low, top + row_mV * (n_neurons + 0.5))
    ax.set(xlabel="time (ms)", ylabel="membrane potential (mV)", xlim=_time_limits(n_steps * resolution_ms))
    if n_neurons <= _MAX_NAMED_TRACES:
        _legend_above(ax)
    return ax


def weight_matrix(connections: Connections, n_neurons: int, ax: Any = None) -> Any:
    """Weights as a matrix, sources to the right, targets upwards; red excites, blue inhibits, grey is unconnected.

    Several synapses between two neurons are added up.

    Parameters
    ----------
    n_neurons : int; the picture needs 9 bytes for each pair of them
    ax : matplotlib axes to draw into; None makes a figure

    Returns
    -------
    The axes, with one image and its colour bar in pA

    Raises
    ------
    ValueError : a connection of a neuron outside 0 … n_neurons - 1.
    ImportError : matplotlib is not installed.
    """
    source, target = (np.asarray(nodes, dtype=np.int64) for nodes in (connections.source, connections.target))
    for name, neurons in (("source", source), ("target", target)):
        if len(neurons) and not 0 <= neurons.min() <= neurons.max() < n_neurons:
            raise ValueError(
                f"connections.{name} holds neurons {neurons.min()} … {neurons.max()}, outside 0 … {n_neurons - 1}."
            )
    ax = _axes(ax, height=5.0, width=6.0)
    weight_pA = np.zeros((n_neurons, n_neurons))
    np.add.at(weight_pA, (target, source), np.asarray(connections.weight_pA, dtype=np.float64))
    is_missing = np.ones(weight_pA.shape, dtype=np.bool_)
    is_missing[target, source] = False
    most_pA = float(np.abs(weight_pA).max(initial=0.0)) or 1.0
    image = ax.imshow(
        np.ma.array(weight_pA, mask=is_missing),
        cmap="RdBu_r",
        vmin=-most_pA,
        vmax=most_pA,
        origin="lower",
        # Sharp cells while each has a pixel; beyond that matplotlib averages, so that none is lost.
        interpolation="nearest" if n_neurons <= ax.get_window_extent().height else "auto",
    )
    ax.set_facecolor("0.9")
    ax.set(xlabel="source neuron", ylabel="target neuron")
    for axis in (ax.xaxis, ax.yaxis):
        axis.get_major_locator().set_params(integer=True)
    ax.figure.colorbar(image, ax=ax, label="weight (pA)", shrink=0.8)
    return ax


def _axes(ax: Any, height: float, width: float = 7.0) -> Any:
    """The given axes, or those of a new figure of this size in inches, outside pyplot's list of open figures."""
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("matplotlib is missing, which plots need: pip install -e '.[plot]'.") from None
    ax = Figure(figsize=(width, height), dpi=150, layout="constrained").add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _time_limits(duration_ms: float) -> tuple[float, float]:
    return 0.0, duration_ms or 1.0


def _legend_above(ax: Any, mark_points: float | None = None) -> None:
    """Names in rows above the axes, where they hide nothing."""
    names = ax.get_legend_handles_labels()[1]
    if not names:
        return
    legend = ax.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(len(names), 6),
        frameon=False,
        fontsize="small",
        handlelength=1.4 if mark_points is None else 0.5,
        handletextpad=0.5,
        borderpad=0.2,
        borderaxespad=0.3,
    )
    if mark_points is not None:
        for handle in legend.legend_handles:
            handle.set(markersize=mark_points, markeredgewidth=2.0)
