"""Groups of networks: the same bits for every number of agents, and the results of plain torch."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from algorithms.arrays import Numbers
from algorithms.networks import factory, kernels
from algorithms.networks.adam import StackedAdam
from algorithms.networks.stacked import NetworkGroup, StackedMLP, initial_weights
from algorithms.offpolicy_config import OffPolicyConfig
from algorithms.types import Params

NUM_AGENTS = 50
GROUPS = ([0], [49], [0, 1], list(range(17, 34)), list(range(49)))

DISCRETE = {"cartpole": (4, 2), "acrobot": (6, 3), "mountain_car": (2, 3)}
CONTINUOUS = {"pendulum": (3, 1), "hopper": (11, 3), "half_cheetah": (17, 6), "ant": (105, 8)}
"""Sizes of observation and action; walker2d has those of half_cheetah."""


def critic_and_degree_widths(hidden: tuple[int, ...]) -> set[tuple[int, ...]]:
    return {(obs, *hidden, out) for obs, actions in DISCRETE.values() for out in (actions, 1)}


def actor_critic_widths(hidden: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Return a group of Q(s, a), pi(s) and D(s)."""
    return {
        (wide_in, *hidden, out)
        for obs, actions in CONTINUOUS.values()
        for wide_in, out in ((obs + actions, 1), (obs, actions), (obs, 1))
    }


WIDTHS = sorted(
    critic_and_degree_widths((128, 128))
    | critic_and_degree_widths((128,))
    | critic_and_degree_widths((64, 64))
    | actor_critic_widths((64, 64))
)
WIDE = sorted(actor_critic_widths((400, 300)) | actor_critic_widths((256, 256)))


COMPILED, EAGER = OffPolicyConfig(compiled=True), OffPolicyConfig(compiled=False)
both = pytest.mark.parametrize("kind", [COMPILED, EAGER], ids=["compiled", "eager"])


def fixed(kind: OffPolicyConfig, num_agents: int, widths: tuple[int, ...]) -> StackedMLP:
    return factory.fixed(kind, num_agents, widths).networks[0]


def tensor(numbers: Numbers) -> Tensor:
    return torch.as_tensor(numbers).clone()


class Problem(NamedTuple):
    """Return parameters of 50 networks, and data to fit: x [N, B, in], y [N, B, out]."""

    widths: tuple[int, ...]
    params: Params
    x: Numbers
    y: Numbers

    @classmethod
    def random(cls, kind: OffPolicyConfig, widths: tuple[int, ...], batch: int) -> Problem:
        rng = np.random.default_rng(0)
        shapes = {k: v.shape for k, v in fixed(EAGER, 1, widths).views().items()}
        params = {
            name: rng.uniform(-0.1, 0.1, (NUM_AGENTS, *shape[1:])).astype(np.float32)
            for name, shape in shapes.items()
        }
        x, y = (rng.normal(size=(NUM_AGENTS, batch, w)) for w in (widths[0], widths[-1]))
        home = factory.home(kind)
        return cls(widths, params, home.asarray(x), home.asarray(y))

    def first(self, count: int) -> Problem:
        """Return the first networks of the group."""
        params = {name: x[:count] for name, x in self.params.items()}
        return self._replace(params=params, x=self.x[:count], y=self.y[:count])

    def fit(self, kind: OffPolicyConfig, rows: list[int]) -> list[Tensor]:
        """Take two clipped Adam steps; return outputs, gradients, parameters and moments."""
        group, adam = factory.trained(kind, len(rows), [self.widths])
        net, seen = group.networks[0], list[Numbers]()
        net.load({name: x[rows] for name, x in self.params.items()})
        for step in range(2):
            xs, ys = [self.x[rows]], [self.y[rows]]
            seen += apply_gradients(group, adam, xs, ys, max_norm=0.05, step=step)
            seen += [net(self.x[rows]), *net.value_and_gradient(self.x[rows])]
        moments = [view for m in adam.moments.values() for view in net.views(m).values()]
        return [tensor(x) for x in (*seen, *net.views().values(), *moments)]


def apply_gradients(
    group: NetworkGroup,
    adam: StackedAdam,
    xs: list[Numbers],
    ys: list[Numbers],
    *,
    max_norm: float | None = None,
    rates: tuple[float, ...] = (1e-3,),
    step: int = 0,
) -> tuple[Numbers, ...]:
    """Take a step on the sum of squared errors; return the outputs before it."""
    outs = group.forward(*xs)
    slopes = (2 * (out - y) for out, y in zip(outs, ys, strict=True))
    adam.apply_gradients(*slopes, max_norm=max_norm, learning_rates=rates, steps_done=step)
    return outs


def check_groupings(kind: OffPolicyConfig, widths: tuple[int, ...], batch: int) -> None:
    problem = Problem.random(kind, widths, batch)
    together = problem.fit(kind, list(range(NUM_AGENTS)))
    for rows in GROUPS:
        for mine, theirs in zip(problem.fit(kind, rows), together, strict=True):
            assert torch.equal(mine, theirs[rows]), f"{widths} B={batch} agents {rows[0]}.."


@both
@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_no_grouping_changes_a_bit(
    kind: OffPolicyConfig, widths: tuple[int, ...], batch: int
) -> None:
    check_groupings(kind, widths, batch)


@both
@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("widths", [w for w in WIDE if w[0] in (4, 105)], ids=str)
def test_no_grouping_changes_a_bit_of_a_wide_network(
    kind: OffPolicyConfig, widths: tuple[int, ...], batch: int
) -> None:
    check_groupings(kind, widths, batch)


@pytest.mark.slow
@both
@pytest.mark.parametrize("batch", [1, 3, 16, 64, 256])
@pytest.mark.parametrize("widths", WIDTHS + WIDE, ids=str)
def test_no_grouping_changes_a_bit_at_any_size(
    kind: OffPolicyConfig, widths: tuple[int, ...], batch: int
) -> None:
    check_groupings(kind, widths, batch)


def linears(widths: tuple[int, ...], params: Params, row: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(len(widths) - 1):
        linear = nn.Linear(widths[index], widths[index + 1])
        linear.weight.data = torch.tensor(params[f"{index}.weight"][row].T)
        linear.bias.data = torch.tensor(params[f"{index}.bias"][row][0])
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@both
@pytest.mark.parametrize("widths", [(5, 12, 9, 3), (17, 40, 19)], ids=str)
@pytest.mark.parametrize("max_norm", [None, 0.05, 100.0])
def test_a_stacked_step_is_that_of_plain_torch(
    kind: OffPolicyConfig, widths: tuple[int, ...], max_norm: float | None
) -> None:
    problem = Problem.random(kind, widths, 7)
    group, stacked_adam = factory.trained(kind, NUM_AGENTS, [widths])
    net = group.networks[0]
    net.load(problem.params)
    apply_gradients(group, stacked_adam, [problem.x], [problem.y], max_norm=max_norm, rates=(1e-2,))
    for row in (0, 31):
        plain = linears(widths, problem.params, row)
        adam = torch.optim.Adam(plain.parameters(), lr=1e-2)
        (plain(tensor(problem.x[row])) - tensor(problem.y[row])).square().sum().backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(plain.parameters(), max_norm)
        adam.step()
        for index, layer in enumerate(plain[::2]):
            weight, bias = (net.views()[f"{index}.{kind}"][row] for kind in ("weight", "bias"))
            torch.testing.assert_close(weight, layer.weight.T, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(bias[0], layer.bias, rtol=1e-4, atol=1e-5)


@both
def test_padding_stays_zero(kind: OffPolicyConfig) -> None:
    problem = Problem.random(kind, (5, 12, 9, 3), 7)
    group, adam = factory.trained(kind, NUM_AGENTS, [problem.widths])
    net = group.networks[0]
    net.load(problem.params)
    for step in range(3):
        apply_gradients(group, adam, [problem.x], [problem.y], step=step)
    rest = group.flat.clone()
    assert rest.abs().sum() > 0
    for view in net.views(rest).values():
        view.zero_()
    assert not rest.any()


def test_a_broadcast_reaches_every_agent() -> None:
    net = fixed(COMPILED, 4, (5, 12, 3))
    params = initial_weights((5, 12, 3), seed=0, network=0)
    net.load(params)
    for name, view in net.views().items():
        assert all(np.array_equal(view[row], params[name]) for row in range(4))


def test_initial_weights_depend_on_seed_network_and_layer_alone() -> None:
    base = initial_weights((5, 12, 3), seed=0, network=0)
    deeper = initial_weights((5, 12, 3, 8), seed=0, network=0)
    assert all(np.array_equal(x, deeper[name]) for name, x in base.items())
    for other in ({"seed": 1, "network": 0}, {"seed": 0, "network": 1}):
        assert not np.array_equal(
            base["0.weight"], initial_weights((5, 12, 3), **other)["0.weight"]
        )


def test_initial_weights_fill_their_bounds() -> None:
    params = initial_weights((400, 300, 200), seed=0, network=0, last_bound=3e-3)
    assert np.abs(params["0.weight"]).max() == pytest.approx(1 / 20, rel=1e-2)
    assert np.abs(params["1.weight"]).max() == pytest.approx(3e-3, rel=1e-2)
    assert params["0.weight"].std() == pytest.approx(1 / 20 / np.sqrt(3), rel=1e-2)


@both
def test_the_moments_of_one_agent_travel(kind: OffPolicyConfig) -> None:
    problem = Problem.random(kind, (5, 12, 3), 7)
    pairs = [factory.trained(kind, NUM_AGENTS, [(5, 12, 3)]) for _ in range(2)]
    groups, adams = zip(*pairs, strict=True)
    groups[0].networks[0].load(problem.params)
    apply_gradients(groups[0], adams[0], [problem.x], [problem.y])
    state = adams[0].agent_state(3)
    adams[1].load_agent_state(8, state)
    assert all(np.array_equal(x, adams[1].agent_state(8)[name]) for name, x in state.items())
    assert not any(x.any() for x in adams[1].agent_state(9).values())
    assert any(x.any() for x in state.values())


@both
def test_the_slope_of_a_network_is_that_of_plain_torch(kind: OffPolicyConfig) -> None:
    problem = Problem.random(kind, (5, 12, 9, 1), 7)
    net = fixed(kind, NUM_AGENTS, problem.widths)
    net.load(problem.params)
    value_NB, gradient_NBI = net.value_and_gradient(problem.x)
    for row in (0, 31):
        x = tensor(problem.x[row]).requires_grad_()
        plain = linears(problem.widths, problem.params, row)(x)[:, 0]
        (gradient,) = torch.autograd.grad(plain.sum(), x)
        torch.testing.assert_close(tensor(value_NB[row]), plain.detach(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(tensor(gradient_NBI[row]), gradient, rtol=1e-4, atol=1e-5)


UNEQUAL = ((7, 12, 9, 1), (5, 12, 9, 3))
"""A critic of state and action, and a network of the state alone."""


def fit(
    group: NetworkGroup, adam: StackedAdam, problems: list[Problem], rates: tuple[float, ...]
) -> None:
    """Take three steps on the sum of the networks' losses."""
    for net, problem in zip(group.networks, problems, strict=True):
        net.load(problem.params)
    xs, ys = [p.x for p in problems], [p.y for p in problems]
    for step in range(3):
        apply_gradients(group, adam, xs, ys, max_norm=0.5, rates=rates, step=step)


@both
@pytest.mark.parametrize("rates", [(1e-2, 1e-2), (1e-2, 1e-3)])
def test_networks_that_share_a_stack_learn_the_same_bits_as_alone(
    kind: OffPolicyConfig, rates: tuple[float, ...]
) -> None:
    problems = [Problem.random(kind, widths, 16) for widths in UNEQUAL]
    together, adam = factory.trained(kind, NUM_AGENTS, UNEQUAL)
    fit(together, adam, problems, rates)
    for net, problem, rate in zip(together.networks, problems, rates, strict=True):
        group, own_adam = factory.trained(kind, NUM_AGENTS, [problem.widths])
        fit(group, own_adam, [problem], (rate,))
        for name, view in group.networks[0].views().items():
            assert torch.equal(net.views()[name], view), name


@both
def test_a_network_follows_another_that_shares_its_stack(kind: OffPolicyConfig) -> None:
    together, _ = factory.trained(kind, 3, UNEQUAL)
    for net, widths in zip(together.networks, UNEQUAL, strict=True):
        net.load(initial_weights(widths, seed=0, network=0))
    target = fixed(kind, 3, UNEQUAL[1])
    start = initial_weights(UNEQUAL[1], seed=1, network=0)
    for rate in (0.005, 0.25, 0.5, 0.9, 1.0):
        target.load(start)
        target.soft_update(together.networks[1], rate)
        for name, view in together.networks[1].views().items():
            began = torch.tensor(start[name]).expand_as(view)
            torch.testing.assert_close(target.views()[name], torch.lerp(began, view, rate))
    assert all(torch.equal(x, target.views()[k]) for k, x in together.networks[1].views().items())
    target.copy(together.networks[1])
    for name, view in together.networks[1].views().items():
        assert torch.equal(target.views()[name], view)


@both
def test_a_network_of_a_shared_stack_follows_one_of_its_own(kind: OffPolicyConfig) -> None:
    together, _ = factory.trained(kind, 3, UNEQUAL)
    source = fixed(kind, 3, UNEQUAL[1])
    source.load(initial_weights(UNEQUAL[1], seed=0, network=0))
    together.networks[1].soft_update(source, 1.0)
    for name, view in source.views().items():
        assert torch.equal(together.networks[1].views()[name], view)
    assert not any(view.any() for view in together.networks[0].views().values())


@both
def test_to_evaluate_between_forward_and_descend_changes_nothing(kind: OffPolicyConfig) -> None:
    problem = Problem.random(kind, (5, 12, 9), 16)
    learnt = []
    for disturb in (False, True):
        group, adam = factory.trained(kind, NUM_AGENTS, [problem.widths])
        group.networks[0].load(problem.params)
        (out,) = group.forward(problem.x)
        if disturb:
            group.networks[0](problem.y[..., :5])
            group.networks[0].value_and_gradient(problem.y[..., :5])
        adam.apply_gradients(out - problem.y, max_norm=None, learning_rates=[1e-2], steps_done=0)
        learnt.append(group.flat.clone())
    assert torch.equal(*learnt)


@both
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_outputs_are_those_of_plain_torch(kind: OffPolicyConfig, batch: int) -> None:
    problem = Problem.random(kind, (5, 12, 19), batch)
    net = fixed(kind, NUM_AGENTS, problem.widths)
    net.load(problem.params)
    plain = linears(problem.widths, problem.params, 31)(tensor(problem.x[31]))
    torch.testing.assert_close(tensor(net(problem.x)[31]), plain.detach(), rtol=1e-4, atol=1e-5)


def test_a_round_compiles_nothing_that_building_did_not() -> None:
    group, adam = factory.trained(COMPILED, 3, UNEQUAL)
    entries = (
        kernels.forward,
        kernels.input_gradients,
        kernels.apply_gradients,
        kernels.soft_update,
    )
    built = [list(entry.signatures) for entry in entries]
    problems = [Problem.random(COMPILED, widths, 5) for widths in UNEQUAL]
    fit(group, adam, [p.first(3) for p in problems], (1e-2, 1e-3))
    group.networks[0].value_and_gradient(problems[0].x[:3])
    group.networks[1](problems[1].x[:3, :1])
    fixed(COMPILED, 3, UNEQUAL[0]).soft_update(group.networks[0], 0.1)
    assert all(built) and built == [list(entry.signatures) for entry in entries]


def test_kernels_that_cannot_be_kept_on_disk_are_compiled_all_the_same(monkeypatch) -> None:
    def no_place(*args: Any, **options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(*args, **options)

    monkeypatch.setattr(kernels, "njit", no_place)
    assert kernels.compiled(lambda x: x + 1)(2) == 3


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Full:
        stats = SimpleNamespace(cache_path=str(tmp_path))

        def __call__(self, *args: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kernels, "forward", Full())
    with pytest.raises(OSError, match=r"keep compiled kernels: No space .*NUMBA_CACHE_DIR.*: '/"):
        kernels.load.__wrapped__(np.float32)


STRIPS = {
    "strip_32": (kernels.strip_32, 32),
    "strip_64": (kernels.strip_64, 64),
    "strip_64_of_32": (kernels.strip_64_of_32, 64),
    "strip_96_of_32": (kernels.strip_96_of_32, 96),
    "strip_128": (kernels.strip_128, 128),
}
"""Intrinsics by their names, and the bytes of a row of y that they make."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(8, 8, 8), (16, 24, 120), (8, 16, 192), (64, 128, 304)], ids=str)
def test_a_product_is_the_same_by_tiles_of_any_shape(
    shape: tuple[int, int, int], dtype: type[np.floating[Any]]
) -> None:
    rng, (batch, wide_in, wide_out) = np.random.default_rng(0), shape
    x, w, bias = (
        rng.normal(size=(wide_in, batch)),
        rng.normal(size=shape[1:]),
        rng.normal(size=(1, wide_out)),
    )
    x, w, bias = x.astype(dtype).T, w.astype(dtype), bias.astype(dtype)
    y, plain = np.full((2, batch, wide_out), np.nan, dtype)
    kernels.product(x, w, bias, -np.inf, y, w.reshape(-1))
    kernels.product(x, w, None, -np.inf, plain, w.reshape(-1))
    for found, expected in ((y, x.astype(float) @ w + bias), (plain, x.astype(float) @ w)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=64 * np.finfo(dtype).eps * wide_in)
    for name, (strip, width) in STRIPS.items():
        if wide_out * y.itemsize % width == 0:
            again = np.full_like(y, np.nan)
            by_strips(strip, width)(x, w, bias, -np.inf, again, w.reshape(-1)[:0])
            assert np.array_equal(y, again), name


@pytest.mark.parametrize("shape", [(8, 8), (16, 128), (128, 16), (24, 304)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_a_matrix_are_transposed(
    shape: tuple[int, int], dtype: type[np.floating[Any]]
) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    found = np.full(shape[::-1], np.nan, dtype)
    kernels.transpose(x, found)
    assert np.array_equal(found, x.T)


def by_strips(strip: Any, width: int) -> Any:
    """Compute `kernels.product` by strips of one kind, `width` bytes wide."""

    @numba.njit  # type: ignore[untyped-decorator]
    def product(x: Any, w: Any, bias: Any, least: Any, y: Any, ahead: Any) -> None:
        for j in range(0, w.shape[1], width // y.itemsize):
            strip(x, w, bias, least, y, j, ahead, 0)

    return product
