"""Plots: what is drawn is the data, labelled with units, in the axes that were given."""

import io
import sys

import numpy as np
import pytest

from snn import plots
from snn.spike_trains import SpikeTrains
from snn.topology import Connections

figure = pytest.importorskip("matplotlib.figure")

SIZES = {"input": 2, "hidden": 5, "output": 3}
N_STEPS, RESOLUTION_MS = 1000, 0.1


@pytest.fixture
def trains():
    rng = np.random.default_rng(0)
    return SpikeTrains.from_unsorted(
        rng.integers(1, N_STEPS + 1, 120), rng.integers(0, 10, 120), RESOLUTION_MS, N_STEPS, SIZES
    )


@pytest.fixture
def connections():
    return Connections(
        source=np.array([0, 0, 1, 1]),
        target=np.array([1, 2, 2, 2]),
        weight_pA=np.array([3.0, -5.0, 1.0, 1.5]),
        delay_ms=np.ones(4),
    )


POTENTIALS = -70.0 + 10.0 * np.random.default_rng(1).random((N_STEPS, 10))
DRAW = {
    "raster": lambda trains, connections, ax=None: plots.raster(trains, ax),
    "psth": lambda trains, connections, ax=None: plots.psth(trains, 5.0, ax),
    "population_rates": lambda trains, connections, ax=None: plots.population_rates(trains, 5.0, ax),
    "membrane_traces": lambda trains, connections, ax=None: plots.membrane_traces(
        POTENTIALS, RESOLUTION_MS, ax, spikes=trains, V_th=-55.0
    ),
    "weight_matrix": lambda trains, connections, ax=None: plots.weight_matrix(connections, 3, ax),
}


@pytest.mark.parametrize("name", DRAW)
def test_given_axes_are_drawn_into_and_returned(name, trains, connections):
    ax = figure.Figure().add_subplot()
    assert DRAW[name](trains, connections, ax) is ax
    assert ax.lines or ax.patches or ax.images


@pytest.mark.parametrize("name", DRAW)
def test_without_axes_a_figure_is_made_that_nothing_else_holds(name, trains, connections, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # neither a display nor a list of open figures
    ax = DRAW[name](trains, connections)
    file = io.BytesIO()
    ax.figure.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("raster", ("time (ms)", "neuron")),
        ("psth", ("time (ms)", "rate (Hz per neuron)")),
        ("population_rates", ("time (ms)", "rate (Hz per neuron)")),
        ("membrane_traces", ("time (ms)", "membrane potential (mV)")),
        ("weight_matrix", ("source neuron", "target neuron")),
    ],
)
def test_axes_say_what_they_show_in_which_unit(name, labels, trains, connections):
    ax = DRAW[name](trains, connections)
    assert (ax.get_xlabel(), ax.get_ylabel()) == labels
    if labels[0] == "time (ms)":
        assert ax.get_xlim() == (0.0, 100.0)


@pytest.mark.parametrize("name", DRAW)
def test_a_missing_matplotlib_is_named_with_its_remedy(name, trains, connections, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"matplotlib is missing.*pip install -e '.\[plot\]'"):
        DRAW[name](trains, connections)


def test_a_raster_marks_every_spike_in_the_colour_of_its_population(trains):
    ax = plots.raster(trains)
    lines = [line for line in ax.lines if line.get_marker() == "|"]
    assert [line.get_label() for line in lines] == ["input (2)", "hidden (5)", "output (3)"]
    assert len({line.get_color() for line in lines}) == 3
    marks = np.concatenate([line.get_xydata() for line in lines])
    expected = np.column_stack([trains.times_ms, trains.neurons])
    np.testing.assert_array_equal(marks[np.lexsort(marks.T)], expected[np.lexsort(expected.T)])
    for line, first, size in zip(lines, [0, 2, 7], SIZES.values(), strict=True):
        assert set(line.get_ydata()) <= set(range(first, first + size))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [line.get_label() for line in lines]


def test_a_psth_has_the_mean_rate_of_all_neurons_in_every_bin(trains):
    values, edges, _ = plots.psth(trains, 5.0).patches[0].get_data()
    counted, _ = np.histogram(trains.steps, np.arange(0, N_STEPS + 1, 50) + 0.5)
    np.testing.assert_allclose(values, counted / 10 / 0.005)
    np.testing.assert_allclose(edges, np.arange(0, 101, 5))


def test_population_rates_are_one_line_each_with_points_in_the_middle_of_the_bins(trains):
    lines = plots.population_rates(trains, 5.0).lines
    assert [line.get_label() for line in lines] == list(SIZES)
    for line, first, size in zip(lines, [0, 2, 7], SIZES.values(), strict=True):
        mine = (trains.neurons >= first) & (trains.neurons < first + size)
        counted, _ = np.histogram(trains.steps[mine], np.arange(0, N_STEPS + 1, 50) + 0.5)
        np.testing.assert_allclose(line.get_ydata(), counted / size / 0.005)
        np.testing.assert_allclose(line.get_xdata(), np.arange(2.5, 100, 5))


@pytest.mark.parametrize("draw", [plots.psth, plots.population_rates])
def test_bins_that_do_not_fit_are_refused(draw, trains):
    with pytest.raises(ValueError, match=r"bin_ms=0.15 does not divide"):
        draw(trains, 0.15)


def test_traces_begin_at_the_end_of_the_first_step_with_spikes_above_them():
    V_m = np.array([[-70.0, -65.0], [-60.0, -66.0], [-70.0, -56.0], [-69.0, -70.0]])
    spikes = SpikeTrains(np.array([3, 4]), np.array([0, 1]), 0.5, 4, {"all": 2})
    ax = plots.membrane_traces(V_m, 0.5, spikes=spikes, V_th=-55.0)
    *traces, threshold, first_marks, second_marks = ax.lines
    for neuron, trace in enumerate(traces):
        np.testing.assert_array_equal(trace.get_xdata(), [0.5, 1.0, 1.5, 2.0])
        np.testing.assert_array_equal(trace.get_ydata(), V_m[:, neuron])
    assert set(threshold.get_ydata()) == {-55.0}
    for marks, trace, time_ms in ((first_marks, traces[0], 1.5), (second_marks, traces[1], 2.0)):
        assert marks.get_xdata().tolist() == [time_ms]
        assert -55.0 < marks.get_ydata()[0] < ax.get_ylim()[1]
        assert marks.get_color() == trace.get_color()
    assert first_marks.get_ydata()[0] < second_marks.get_ydata()[0]


def test_lists_are_drawn_like_arrays(connections):
    ax = plots.membrane_traces([[-70, -60], [-69, -58]], 0.5, spikes=SpikeTrains([1], [1], 0.5, 2, {"a": 2}))
    assert [line.get_ydata().tolist() for line in ax.lines[:2]] == [[-70, -69], [-60, -58]]
    lists = Connections(*(values.tolist() for values in connections))
    pictures = [plots.weight_matrix(given, 3).images[0].get_array() for given in (connections, lists)]
    np.testing.assert_array_equal(*(picture.filled(np.nan) for picture in pictures))
    none = Connections([], [], [], [])
    assert plots.weight_matrix(none, 2).images[0].get_array().mask.all()


def test_many_traces_are_not_named_one_by_one():
    assert plots.membrane_traces(POTENTIALS, 0.1).get_legend() is not None
    assert plots.membrane_traces(np.tile(POTENTIALS, 2), 0.1).get_legend() is None


def test_traces_of_a_wrong_shape_are_refused(trains):
    with pytest.raises(ValueError, match=r"V_m has shape \(1000,\), expected \(n_steps, n_neurons\)"):
        plots.membrane_traces(POTENTIALS[:, 0], 0.1)
    with pytest.raises(ValueError, match="V_m has 9 neurons, but spikes has 10"):
        plots.membrane_traces(POTENTIALS[:, :9], 0.1, spikes=trains)


def test_the_weight_matrix_adds_synapses_and_leaves_missing_ones_out(connections):
    ax = plots.weight_matrix(connections, 3)
    (image,) = ax.images
    matrix = image.get_array()
    np.testing.assert_array_equal(  # rows are targets
        matrix.filled(np.nan), [[np.nan, np.nan, np.nan], [3.0, np.nan, np.nan], [-5.0, 2.5, np.nan]]
    )
    assert image.get_clim() == (-5.0, 5.0)  # white is zero
    assert image.colorbar.ax.get_ylabel() == "weight (pA)"


@pytest.mark.parametrize(("n_neurons", "message"), [(2, r"target holds neurons 1 … 2, outside 0 … 1")])
def test_connections_outside_the_matrix_are_refused(connections, n_neurons, message):
    with pytest.raises(ValueError, match=message):
        plots.weight_matrix(connections, n_neurons)


def test_nothing_to_draw_gives_empty_axes():
    nobody = SpikeTrains(np.empty(0, np.int64), np.empty(0, np.int64), 1.0, 0, {})
    for ax in (plots.raster(nobody), plots.population_rates(nobody, 1.0), plots.psth(nobody, 1.0)):
        ax.figure.savefig(io.BytesIO(), format="png")
    none = Connections(*(np.empty(0, np.int64),) * 2, *(np.empty(0),) * 2)
    plots.weight_matrix(none, 2).figure.savefig(io.BytesIO(), format="png")
