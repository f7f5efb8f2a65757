"""The catalogue: experiments, networks and gin files by their names here."""

from typing import Any

FIGURES = {
    "lottery_tickets": "rounds",
    "mask_criteria": "rounds",
    "init_variants": "rounds",
    "mask0_actions": "rounds",
    "heuristic_supermask": "untrained",
    "supermask": "supermask",
}
"""What the papers have for all networks, and of which kind its runs are."""


APPENDICES = {
    "continued": "Going back in each round, Frankle & Carbin 2019, appendix B",
    "initial_magnitude": "Pruning before training, appendix F.4",
    "noise": "Noise on initial weights, appendix F.7",
    "learning_rates": "Learning rates of Adam, appendix G.2",
    "optimizers": "Optimizers, appendix G.3",
    "prune_rates": "How much a round prunes, appendix G.4",
    "initializers": "Initial weights, appendix G.5",
    "widths": "Widths, appendix G.6",
}
"""Experiments with LeNet of Frankle & Carbin 2019, and their titles."""


OF_LENET = {
    **{
        name: ("rounds", f"gin/frankle2019/{name}/lenet.gin")
        for name in APPENDICES
    },
    "mask_ablations": ("supermask", "gin/zhou2019/mask_ablations/lenet.gin"),
    "edge_popup": ("supermask", "gin/ramanujan2020/edge_popup/lenet.gin"),
}
"""Experiments with one network: the kind of their runs, and the gin file."""


EXPERIMENTS = {
    **FIGURES,
    **{name: kind for name, (kind, _) in OF_LENET.items()},
    "layers": "rounds",
    "dropout": "rounds",
    "mnist1d_tickets": "rounds",
}
"""All experiments, and of which kind their runs are."""


GIN_FILES = {
    **{("LeNet", name): f"gin/{name}.gin" for name in FIGURES},
    **{
        (f"Conv-{n}", name): f"gin/zhou2019/{name}/conv{n}.gin"
        for n in (2, 4, 6)
        for name in FIGURES
    },
    **{
        (f"Conv-{n}", "lottery_tickets"): f"gin/frankle2019/conv{n}.gin"
        for n in (2, 4, 6)
    },
    **{
        (f"Conv-{n}", "supermask"): f"gin/zhou2019/table1/conv{n}.gin"
        for n in (2, 4, 6)
    },
    **{("LeNet", name): path for name, (_, path) in OF_LENET.items()},
    **{
        (f"Conv-{n}", name): f"gin/frankle2019/{name}/conv{n}.gin"
        for n in (2, 4, 6)
        for name in ("layers", "dropout")
    },
    ("MLP-256-256", "mnist1d_tickets"): "gin/greydanus2024/tickets.gin",
}
"""The gin file of each network and experiment."""


TITLES = {
    "lottery_tickets": "Lottery tickets, Frankle & Carbin 2019, figures 3 to 5",
    "mask_criteria": "Mask criteria, Zhou et al. 2019, figure 3",
    "init_variants": "Init variants, Zhou et al. 2019, figure 4",
    "mask0_actions": "Mask-0 actions, Zhou et al. 2019, figure 5",
    "heuristic_supermask": (
        "Masks on untrained networks, Zhou et al. 2019, figure 6"
    ),
    "supermask": "Learned supermasks, Zhou et al. 2019, table 1",
    "mask_ablations": "Learned supermasks: weight scale, start of the logits",
    "edge_popup": "Edge-popup, after Ramanujan et al. 2020",
    "mnist1d_tickets": "MNIST-1D, Greydanus & Kobak 2024",
    "layers": "Pruning some layers, Frankle & Carbin 2019, appendix H",
    "dropout": "Dropout, Frankle & Carbin 2019, section 3.4",
    **APPENDICES,
}


NETWORKS: dict[str, dict[str, Any]] = {
    "LeNet": {"call": "tf_lottery>lenet.LeNet", "hidden": [300, 100]},
    "Conv-2": {"call": "tf_lottery>conv.Conv", "blocks": 1},
    "Conv-4": {"call": "tf_lottery>conv.Conv", "blocks": 2},
    "Conv-6": {"call": "tf_lottery>conv.Conv", "blocks": 3},
    "MLP-256-256": {"call": "tf_lottery>lenet.LeNet", "hidden": [256, 256]},
}
"""Fields of a recipe's model, in canonical form."""


ITERATIONS = {
    "LeNet": (50_000, 1.2e-3),
    "Conv-2": (20_000, 2e-4),
    "Conv-4": (25_000, 3e-4),
    "Conv-6": (30_000, 3e-4),
}
"""How long each network is trained, and with which learning rate."""


RATES = {"Conv-2": 0.1, "Conv-4": 0.1, "Conv-6": 0.15}
"""The pruning rates of convolutions; all networks share the others."""


def network_of(plan: dict[str, Any]) -> str:
    """Returns the name of the network that a plan trains."""
    model = plan["recipe"]["model"]
    for name, fields in NETWORKS.items():
        if all(model.get(key) == value for key, value in fields.items()):
            return name
    # No name of the table: no claim is about a network of other sizes.
    name = str(model.get("call", "?")).rpartition(".")[2]
    return f"{name} of other sizes" if name in NETWORKS else name
