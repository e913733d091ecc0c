"""SAC with the robust target for one minibatch, written plainly in float64.

It sees the parameters of RLlib's module under RLlib's names, the minibatch and the normal noise of
both actions. The test's networks have ReLU after every layer of an encoder, none after a head, and
critics whose fusion layers each see the embeddings again.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CRITICS = ("qf", "qf_twin")


class SACOracle:
    """Return losses and gradients of one update: critics, degree network, policy, temperature."""

    def __init__(
        self, state: dict[str, Tensor], *, log_alpha: float, omega: float, expectile: float
    ) -> None:
        self.params = {
            name: value.detach().clone().double().requires_grad_() for name, value in state.items()
        }
        self.log_alpha = torch.tensor([log_alpha], dtype=torch.float64, requires_grad=True)
        self.omega, self.expectile = omega, expectile

    def losses(
        self, batch: dict[str, Tensor], noise: tuple[Tensor, Tensor], *, gamma: float
    ) -> dict[str, Tensor]:
        """Losses by the name of the network that learns from them."""
        b = {name: x.double() for name, x in batch.items()}
        alpha = self.log_alpha.exp().detach()
        actions, logp = self.act(b["obs"], noise[0].double())
        v_next = self.soft_value(b["new_obs"], noise[1].double(), alpha)
        v_next = torch.where(b["terminateds"] > 0, 0.0, v_next).detach()
        worst = self.degree(b["obs"])
        y = b["rewards"] + gamma * ((1 - self.omega) * v_next + self.omega * worst.detach())
        found = {
            name: (b["weights"] * huber(self.value(name, b["obs"], b["actions"]) - y)).mean()
            for name in CRITICS
        }
        u = v_next - worst
        tau = torch.where(u < 0, 1 - self.expectile, self.expectile)
        found["degree"] = (b["weights"] * tau * u**2).mean()
        q_now = torch.minimum(*(self.value(name, b["obs"], actions) for name in CRITICS))
        found["policy"] = (alpha * logp - q_now).mean()
        target_entropy = -float(b["actions"].shape[-1])
        found["alpha"] = -(self.log_alpha * (logp.detach() + target_entropy)).mean()
        return found

    def soft_value(self, obs: Tensor, noise: Tensor, alpha: Tensor) -> Tensor:
        """Return min Q(s', a'; theta') - alpha log pi."""
        actions, logp = self.act(obs, noise)
        values = (self.value(f"target_{name}", obs, actions) for name in CRITICS)
        return torch.minimum(*values) - alpha * logp

    def act(self, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return a squashed Gaussian action and its log probability."""
        mean, log_std = self.linear("pi.net.mlp.0", self.mlp("pi_encoder", obs)).chunk(2, -1)
        log_std = log_std.clamp(-5.0, 2.0)
        action = (mean + log_std.exp() * noise).tanh()
        gaussian = (-(noise**2) / 2 - log_std - math.log(2 * math.pi) / 2).sum(-1)
        return action, gaussian - (1 - action**2).log().sum(-1)

    def value(self, critic: str, obs: Tensor, actions: Tensor) -> Tensor:
        encoder = f"{critic}_encoder"
        streams = {"actions": actions, "obs": obs}
        seen = torch.cat(
            [self.mlp(f"{encoder}.base_encoders.{name}", x) for name, x in streams.items()], -1
        )
        out = self.linear(f"{encoder}.fusion_layers.0", seen).relu()
        for layer in ("fusion_layers.1", "output_layer"):
            out = self.linear(f"{encoder}.{layer}", torch.cat([out, seen], -1)).relu()
        return self.linear(f"{critic}.net.mlp.0", out)[:, 0]

    def degree(self, obs: Tensor) -> Tensor:
        return self.linear("degree.head.net.mlp.0", self.mlp("degree.encoder", obs))[:, 0]

    def mlp(self, encoder: str, x: Tensor) -> Tensor:
        for layer in (0, 2):
            x = self.linear(f"{encoder}.net.mlp.{layer}", x).relu()
        return x

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.params[f"{name}.weight"].T + self.params[f"{name}.bias"]

    def gradients(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the gradient of every parameter, from the one loss that it learns from."""
        owners = {"pi": "policy", "pi_encoder": "policy", "degree": "degree"}
        owners |= {f"{name}{part}": name for name in CRITICS for part in ("", "_encoder")}
        found = {"alpha": torch.autograd.grad(losses["alpha"], self.log_alpha)[0]}
        for name, parameter in self.params.items():
            owner = owners.get(name.split(".")[0])
            if owner is not None and not name.endswith("log_std_clip_param_const"):
                found[name] = torch.autograd.grad(losses[owner], parameter, retain_graph=True)[0]
        return found


def huber(error: Tensor) -> Tensor:
    return torch.where(error.abs() < 1, error**2 / 2, error.abs() - 0.5)
