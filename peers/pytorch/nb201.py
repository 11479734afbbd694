# SPDX-License-Identifier: Apache-2.0
"""Training steps of the NAS-Bench-201 supernet, and of a network of one cell (--arch, in the benchmark's notation)."""
import torch
from torch import nn

from measure import measure, options
from operations import NB201, nb201_operation, relu_conv_norm

EDGES = [(source, node) for node in range(1, 4) for source in range(node)]
THREE_3X3 = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_3x3~1|+|skip_connect~0|skip_connect~1|nor_conv_3x3~2|"


class Cell(nn.Module):
    """Four nodes; on each edge the operations whose names are given."""

    def __init__(self, c, edges, affine):
        super().__init__()
        self.edges = nn.ModuleList(nn.ModuleDict({name: nb201_operation(name, c, affine) for name in names}) for names in edges)

    def forward(self, x, p=None, path=None):
        states = [x]
        for node in range(1, 4):
            states.append(sum(self.edge(e, states[source], p, path) for e, (source, to) in enumerate(EDGES) if to == node))
        return states[3]

    def edge(self, e, x, p, path):
        if p is None:  # one operation, no weight
            return next(iter(self.edges[e].values()))(x)
        if path is not None:
            return p[e, path[e]] * self.edges[e][NB201[path[e]]](x)
        return sum(w * op(x) for w, op in zip(p[e], self.edges[e].values()))


class Residual(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.body = nn.Sequential(relu_conv_norm(before, after, 3, 2, True), relu_conv_norm(after, after, 3, 1, True))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x, *_):
        return self.shortcut(x) + self.body(x)


class Network(nn.Module):
    """Three stages of n cells; a residual block that halves the map between them."""

    def __init__(self, c, n, edges, affine, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))
        self.body = nn.ModuleList()
        for stage in range(3):
            if stage > 0:
                self.body.append(Residual(c, 2 * c))
                c *= 2
            self.body.extend(Cell(c, edges, affine) for _ in range(n))
        self.norm, self.head = nn.BatchNorm2d(c), nn.Linear(c, classes)

    def forward(self, x, *more):
        x = self.stem(x)
        for block in self.body:
            x = block(x, *more)
        return self.head(torch.relu(self.norm(x)).mean(dim=(2, 3)))


class Supernet(Network):
    def __init__(self, c, n):
        super().__init__(c, n, [NB201] * len(EDGES), False)
        self.alpha = nn.Parameter(1e-3 * torch.randn(len(EDGES), len(NB201)))

    def forward(self, x, path=None):
        return super().forward(x, torch.softmax(self.alpha, -1), path)


if __name__ == "__main__":
    parser = options(__doc__, ["mixture", "gdas", "retrain"])
    parser.add_argument("--arch", default=THREE_3X3)
    args = parser.parse_args()
    args.channels, args.cells = args.channels or 16, args.cells or 5
    torch.manual_seed(args.seed)
    if args.path == "retrain":
        names = [part.partition("~")[0] for part in args.arch.replace("+", "").split("|") if part]
        net = Network(args.channels, args.cells, [[name] for name in names], True)
        measure("retrain-nb201", net, net.body, args)
    else:
        net = Supernet(args.channels, args.cells)

        def logits(net, images, number):  # every operation comes equally often
            return net(images, [(number + edge) % 5 for edge in range(6)] if args.path == "gdas" else None)
        measure("nb201", net, net.body, args, logits)
