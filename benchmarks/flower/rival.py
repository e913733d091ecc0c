"""FedRDQN on Flower's simulation, for `rivals.py`.

    FLOWER_PYTHON benchmarks/flower/rival.py CASE OUTPUT

There is one client per agent and one CPU per client process. The program runs in a virtual
environment of its own; see requirements.txt.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import torch
from agent import Agent
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

client = ClientApp()
server = ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    """Run one round of one agent, whose state lies in Flower's context between rounds."""
    started = time.perf_counter()
    torch.set_num_threads(1)
    config = message.content["config"]
    case, index = json.loads(config["case"]), int(context.node_config["partition-id"])
    agent = Agent(case["learner"], case["values"][index], seed=[index, config["server-round"]])
    if "private" in context.state:
        kept = context.state["private"]
        agent.load_private({name: array.numpy() for name, array in kept.items()})
    agent.networks.load_state_dict(message.content["arrays"].to_torch_state_dict())
    learning = time.perf_counter()
    for _ in range(case["sync_interval"]):
        agent.step()
    ended = time.perf_counter()
    context.state["private"] = ArrayRecord({n: Array(x) for n, x in agent.private().items()})
    metrics = {"num-examples": case["sync_interval"], "learning_s": ended - learning}
    metrics["client_s"] = time.perf_counter() - started
    records = {"arrays": ArrayRecord(agent.networks.state_dict()), "metrics": MetricRecord(metrics)}
    return Message(RecordDict(records), reply_to=message)


class TimedFedAvg(FedAvg):
    """Flower's average, with the end of each round and the mean learning seconds of its clients."""

    def __init__(self) -> None:
        super().__init__(fraction_evaluate=0.0)
        self.ends, self.learning, self.replies = [time.perf_counter()], list[float](), list[int]()

    def aggregate_train(self, server_round: int, replies: Any) -> Any:
        """Average the replies of a round, and note its time, learning seconds and replies."""
        replies = list(replies)
        arrays, metrics = super().aggregate_train(server_round, replies)
        self.ends.append(time.perf_counter())
        self.learning.append(metrics["learning_s"])
        self.replies.append(sum(not reply.has_error() for reply in replies))
        return arrays, metrics


@server.main()
def serve(grid: Grid, context: Context) -> None:
    """Run all rounds of the case and write their times. Raise RuntimeError if a client failed."""
    case, warm_up = json.loads(sys.argv[1]), json.loads(sys.argv[1])["warm_up"]
    strategy = TimedFedAvg()
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(Agent(case["learner"], 1.0, seed=[0]).networks.state_dict()),
        num_rounds=warm_up + case["rounds"],
        train_config=ConfigRecord({"case": sys.argv[1]}),
    )
    if set(strategy.replies) != {case["num_agents"]}:
        raise RuntimeError(f"clients failed: replies per round {strategy.replies}")
    seconds = [b - a for a, b in zip(strategy.ends[:-1], strategy.ends[1:], strict=True)]
    clients = case["num_agents"] / min(os.cpu_count() or 1, case["num_agents"])
    learning = [clients * mean for mean in strategy.learning]
    result = {"round_s": seconds[warm_up:], "learning_s": learning[warm_up:]}
    Path(sys.argv[2]).write_text(json.dumps(result))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    run_simulation(
        server_app=server,
        client_app=client,
        num_supernodes=json.loads(sys.argv[1])["num_agents"],
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
