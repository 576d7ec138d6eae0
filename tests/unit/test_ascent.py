import numpy as np

from optim.ascent import adam_step, clipup_step, rmsprop_step


def test_adam_step_equals_two_hand_computed_updates():
    rule = {"learning_rate": 0.1, "beta1": 0.5, "beta2": 0.75, "epsilon": 1.0}
    zero = np.zeros(1)
    step, first, second = adam_step(np.array([2.0]), zero, zero, 1, **rule)
    # m = 1, v = 1; corrected 2 and 4; 0.1 · 2 / (2 + 1)
    np.testing.assert_allclose([step[0], first[0], second[0]], [0.2 / 3.0, 1.0, 1.0])
    step, first, second = adam_step(np.array([-4.0]), first, second, 2, **rule)
    # m = -1.5, v = 4.75; corrected -2 and 4.75 / 0.4375
    np.testing.assert_allclose([step[0], first[0], second[0]], [-0.2 / (np.sqrt(4.75 / 0.4375) + 1.0), -1.5, 4.75])


def test_rmsprop_step_equals_a_hand_computed_update():
    step, second = rmsprop_step(np.array([3.0]), np.array([4.0]), learning_rate=0.5, beta=0.75, epsilon=1.0)
    # v = 0.75 · 4 + 0.25 · 9 = 5.25
    np.testing.assert_allclose([step[0], second[0]], [1.5 / (np.sqrt(5.25) + 1.0), 5.25])


def test_clipup_step_equals_three_hand_computed_updates():
    rule = {"step": 1.0, "max_speed": 1.2, "momentum": 0.5}
    velocity = clipup_step(np.array([30.0, 40.0]), np.zeros(2), **rule)
    np.testing.assert_allclose(velocity, [0.6, 0.8])  # of length `step`, whatever the gradient's
    velocity = clipup_step(np.array([0.003, 0.004]), velocity, **rule)
    np.testing.assert_allclose(velocity, [0.72, 0.96])  # (0.9, 1.2) has length 1.5, cut to 1.2
    velocity = clipup_step(np.array([-6.0, -8.0]), velocity, **rule)
    np.testing.assert_allclose(velocity, [-0.24, -0.32])  # (0.36, 0.48) - (0.6, 0.8)


def test_clipup_without_a_gradient_only_slows_down():
    np.testing.assert_array_equal(clipup_step(np.zeros(3), np.zeros(3), step=1.0, max_speed=2.0), np.zeros(3))
    np.testing.assert_allclose(
        clipup_step(np.zeros(2), np.array([1.0, -1.0]), step=1.0, max_speed=2.0, momentum=0.5), [0.5, -0.5]
    )
