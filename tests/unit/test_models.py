"""Neuron models: propagators against the matrix exponential, refusals."""

import itertools
import math

import numpy as np
import pytest
from scipy.linalg import expm

from snn.models import MODELS, NEURON_MODELS, SOURCE_MODELS, Population, propagators

SYNAPTIC = ("iaf_psc_alpha", "iaf_psc_exp")
STEPS_MS = (0.1, 0.25, 1.0)


def make(model="iaf_psc_alpha", **parameters):
    return Population(name="cells", size=1, model=model, parameters=parameters)


def flow(model, h, *, tau_m, C_m, tau_syn):
    """exp(A h) of (slope of the current, current, potential, constant current), the equations of the model."""
    decay = -1 / tau_syn
    slope_to_current = 1.0 if model == "iaf_psc_alpha" else 0.0
    A = [
        [decay, 0, 0, 0],
        [slope_to_current, decay, 0, 0],
        [0, 1 / C_m, -1 / tau_m, 1 / C_m],
        [0, 0, 0, 0],
    ]
    return expm(np.array(A) * h)


@pytest.mark.parametrize("model", SYNAPTIC)
@pytest.mark.parametrize(("tau_m", "tau_ex", "tau_in"), [(10.0, 2.0, 5.0), (20.0, 0.5, 3.0), (5.0, 5.0, 9.0)])
@pytest.mark.parametrize("h", STEPS_MS)
def test_propagators_are_the_matrix_exponential(model, tau_m, tau_ex, tau_in, h):
    ours = propagators(make(model, tau_m=tau_m, C_m=180.0, tau_syn_ex=tau_ex, tau_syn_in=tau_in), h)
    for tau_syn, sign in ((tau_ex, "ex"), (tau_in, "in")):
        exact = flow(model, h, tau_m=tau_m, C_m=180.0, tau_syn=tau_syn)
        expected = {"P11": exact[1, 1], "P32": exact[2, 1]}
        if model == "iaf_psc_alpha":
            expected |= {"P21": exact[1, 0], "P31": exact[2, 0]}
        for name, value in expected.items():
            assert getattr(ours, f"{name}_{sign}") == pytest.approx(value, rel=1e-12), name
        leak = ours.P_leak + 1 if model == "iaf_psc_alpha" else ours.P_leak
        assert leak == pytest.approx(exact[2, 2], rel=1e-12)
        assert ours.P_current == pytest.approx(exact[2, 3], rel=1e-12)


@pytest.mark.parametrize("h", STEPS_MS)
def test_delta_neurons_only_leak(h):
    ours = propagators(make("iaf_psc_delta", tau_m=7.0, C_m=180.0), h)
    exact = flow("iaf_psc_exp", h, tau_m=7.0, C_m=180.0, tau_syn=1.0)
    assert ours.P_leak == pytest.approx(exact[2, 2], rel=1e-12)
    assert ours.P_current == pytest.approx(exact[2, 3], rel=1e-12)
    assert (ours.kick_ex, ours.kick_in) == (1.0, 1.0)
    assert not any(getattr(ours, f"{name}_{sign}") for name in ("P11", "P21", "P31", "P32") for sign in ("ex", "in"))


@pytest.mark.parametrize("model", SYNAPTIC)
@pytest.mark.parametrize("tau_m", [1.0, 10.0, 30.0])
@pytest.mark.parametrize("h", STEPS_MS)
def test_propagators_are_continuous_where_the_time_constants_meet(model, tau_m, h):
    def to_potential(tau_syn):
        ours = propagators(make(model, tau_m=tau_m, tau_syn_ex=tau_syn, tau_syn_in=3.0), h)
        return np.array([ours.P32_ex, ours.P31_ex] if model == "iaf_psc_alpha" else [ours.P32_ex])

    singular = to_potential(tau_m)
    exact = flow(model, h, tau_m=tau_m, C_m=250.0, tau_syn=tau_m)[2, 1::-1]
    np.testing.assert_allclose(singular, exact[: singular.size], rtol=1e-12)
    for exponent, sign in itertools.product(range(-12, -1), (1, -1)):
        relative = sign * 10.0**exponent
        change = to_potential(tau_m * (1 + relative)) / singular - 1
        # Both grow with the synaptic time constant, by less than h / tau; near the limit NEST loses half of the digits.
        assert np.abs(change).max() < abs(relative) * h / tau_m + 3e-7


def test_alpha_decay_is_expm1_to_the_last_bits_but_for_the_series_of_nest():
    for x in [*np.geomspace(1e-9, 0.69, 200), 0.7, 1.0, 5.0]:
        ours = propagators(make(tau_m=1 / x), 1.0).P_leak
        assert ours == pytest.approx(math.expm1(-x), rel=2.0**-50 if x < math.log(2) else 1e-15)


def test_an_alpha_current_of_weight_1_peaks_at_1_pA():
    ours = propagators(make(tau_syn_ex=4.0), 0.1)
    t = np.arange(0, 20, 0.001)
    assert (ours.kick_ex * t * np.exp(-t / 4.0)).max() == pytest.approx(1.0, rel=1e-6)


def test_thresholds_are_above_the_resting_potential():
    ours = propagators(make(E_L=-65.0, V_th=-50.0, V_reset=-68.0), 0.1)
    assert (ours.threshold, ours.reset) == (15.0, -3.0)


class TestPopulation:
    def test_parameters_left_out_keep_their_defaults_and_the_potential_starts_at_rest(self):
        assert make(E_L=-60.0).all_parameters()["V_m"] == -60.0
        assert make(E_L=-60.0, V_m=-64.0).all_parameters()["V_m"] == -64.0
        assert make(tau_m=7.0).all_parameters() == {**NEURON_MODELS["iaf_psc_alpha"], "tau_m": 7.0, "V_m": -70.0}

    @pytest.mark.nest
    @pytest.mark.parametrize("model", NEURON_MODELS)
    def test_the_defaults_are_those_of_nest(self, model):
        nest = pytest.importorskip("nest")
        theirs = nest.GetDefaults(model)
        for name, value in make(model).all_parameters().items():
            assert theirs[name] == value, name

    def test_only_neurons_have_a_membrane(self):
        assert [make(model).is_neuron for model in MODELS] == [True, True, True, False, False]
        assert set(MODELS) == {*NEURON_MODELS, *SOURCE_MODELS}

    @pytest.mark.parametrize(
        ("model", "parameters", "message"),
        [
            ("iaf_psc_alfa", {}, "model 'iaf_psc_alfa' is unknown; did you mean 'iaf_psc_alpha'?"),
            ("hh_cond", {}, "model 'hh_cond' is unknown; known: iaf_psc_alpha, iaf_psc_exp, .*poisson_generator"),
            ("iaf_psc_alpha", {"tau_M": 5.0}, "iaf_psc_alpha has no parameter 'tau_M'; did you mean 'tau_m'?"),
            ("iaf_psc_alpha", {"tau_syn": 5.0}, "no parameter 'tau_syn'; did you mean 'tau_syn_"),
            ("iaf_psc_delta", {"tau_syn_ex": 5.0}, "iaf_psc_delta has no parameter 'tau_syn_ex'"),
            ("poisson_generator", {"rate": 5.0}, "poisson_generator has no parameter 'rate'; known: none"),
            ("iaf_psc_alpha", {"tau_m": -10.0}, "population 'cells': tau_m=-10.0 is not allowed: it must be > 0"),
            ("iaf_psc_exp", {"tau_syn_in": 0.0}, "tau_syn_in=0.0 is not allowed"),
            ("iaf_psc_exp", {"C_m": 0.0}, "C_m=0.0 is not allowed"),
            ("iaf_psc_exp", {"t_ref": -1.0}, "t_ref=-1.0 is not allowed: it must be >= 0 ms"),
            ("iaf_psc_exp", {"V_m": math.nan}, "V_m=nan is not finite"),
            ("iaf_psc_exp", {"I_e": math.inf}, "I_e=inf is not finite"),
            ("iaf_psc_delta", {"V_reset": -55.0}, "V_reset=-55.0 is not below V_th=-55.0: the neuron would fire"),
        ],
    )
    def test_what_no_engine_takes_is_refused(self, model, parameters, message):
        with pytest.raises(ValueError, match=message.replace("?", r"\?")):
            make(model, **parameters)

    def test_an_empty_population_is_refused(self):
        with pytest.raises(ValueError, match="population 'cells' has size 0: it needs at least 1"):
            Population(name="cells", size=0)


@pytest.mark.parametrize("size", [2.5, "3", None])
def test_sizes_are_whole_numbers(size):
    with pytest.raises(ValueError, match="give a whole number"):
        Population(name="a", size=size)


def test_parameters_are_numbers():
    with pytest.raises(ValueError, match="tau_m='10' is not finite: give a number"):
        Population(name="a", size=1, parameters={"tau_m": "10"})
