# SPDX-License-Identifier: Apache-2.0
"""Training steps of the DARTS supernet, and of the network derived from it that was published (DARTS_V2)."""
import torch
from torch import nn

from measure import measure, options
from operations import DARTS, FactorizedReduce, operation, relu_conv_norm

NODES = 4
V2 = {  # an operation and the node that it reads, two for each node
    "normal": (("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
               ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)),
    "reduce": (("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
               ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1))}


class Cell(nn.Module):
    """What both kinds of cell share: the two inputs, brought to c channels and one extent."""

    def __init__(self, before, last, c, reduction, halved, affine):
        super().__init__()
        self.reduction = reduction
        self.pre0 = FactorizedReduce(before, c, affine) if halved else relu_conv_norm(before, c, 1, affine=affine)
        self.pre1 = relu_conv_norm(last, c, 1, affine=affine)

    def stride(self, source):
        return 2 if self.reduction and source < 2 else 1

    def run(self, before, last, node):
        states = [self.pre0(before), self.pre1(last)]
        for number in range(NODES):
            states.append(node(number, states))
        return torch.cat(states[2:], dim=1)


class SearchCell(Cell):
    def __init__(self, before, last, c, reduction, halved):
        super().__init__(before, last, c, reduction, halved, False)
        self.edges = nn.ModuleList(nn.ModuleList(operation(name, c, self.stride(source), False) for name in DARTS)
                                   for node in range(NODES) for source in range(2 + node))

    def forward(self, before, last, p, path):
        def edge(number, x):
            if path is not None:
                return p[number, path[number]] * self.edges[number][path[number]](x)
            return sum(w * op(x) for w, op in zip(p[number], self.edges[number]))

        def node(number, states):
            first = number * (number + 3) // 2  # edges of the nodes before
            return sum(edge(first + i, x) for i, x in enumerate(states))
        return self.run(before, last, node)


class DerivedCell(Cell):
    def __init__(self, before, last, c, reduction, halved):
        super().__init__(before, last, c, reduction, halved, True)
        genes = V2["reduce" if reduction else "normal"]
        self.sources = [source for _, source in genes]
        self.ops = nn.ModuleList(operation(name, c, self.stride(source), True) for name, source in genes)

    def forward(self, before, last):
        def node(number, states):
            return sum(self.ops[i](states[self.sources[i]]) for i in (2 * number, 2 * number + 1))
        return self.run(before, last, node)


class Auxiliary(nn.Module):
    def __init__(self, c, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(), nn.AvgPool2d(5, 3, count_include_pad=False), nn.Conv2d(c, 128, 1, bias=False), nn.BatchNorm2d(128),
            nn.ReLU(), nn.Conv2d(128, 768, 2, bias=False), nn.BatchNorm2d(768), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(768, classes)

    def forward(self, x):
        return self.head(self.features(x))


class Network(nn.Module):
    """The chain of cells: reduction cells at a third and at two thirds."""

    def __init__(self, cell, c, layers, auxiliary, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * c, 3, padding=1, bias=False), nn.BatchNorm2d(3 * c))
        self.cells, before, last, halved = nn.ModuleList(), 3 * c, 3 * c, False
        self.second = 2 * layers // 3
        for i in range(layers):
            reduction = i == layers // 3 or i == self.second
            c = 2 * c if reduction else c
            self.cells.append(cell(before, last, c, reduction, halved))
            before, last, halved = last, NODES * c, reduction
            if auxiliary and i == self.second:
                self.auxiliary = Auxiliary(last, classes)
        self.has_auxiliary = auxiliary
        self.head = nn.Linear(last, classes)

    def chain(self, x, more):
        before = last = self.stem(x)
        auxiliary = None
        for i, cell in enumerate(self.cells):
            before, last = last, cell(before, last, *more(cell))
            if self.has_auxiliary and i == self.second:
                auxiliary = self.auxiliary(last)
        logits = self.head(last.mean(dim=(2, 3)))
        return (logits, auxiliary) if self.has_auxiliary else logits


class Supernet(Network):
    def __init__(self, c, layers):
        super().__init__(SearchCell, c, layers, False)
        edges = NODES * (NODES + 3) // 2
        self.alpha_normal, self.alpha_reduce = (nn.Parameter(1e-3 * torch.randn(edges, len(DARTS))) for _ in range(2))

    def forward(self, x, path=None):
        normal, reduce = torch.softmax(self.alpha_normal, -1), torch.softmax(self.alpha_reduce, -1)
        return self.chain(x, lambda cell: (reduce if cell.reduction else normal, path))


class Derived(Network):
    def __init__(self, c, layers):
        super().__init__(DerivedCell, c, layers, True)

    def forward(self, x):
        return self.chain(x, lambda cell: ())


if __name__ == "__main__":
    args = options(__doc__, ["mixture", "gdas", "retrain"]).parse_args()
    torch.manual_seed(args.seed)
    if args.path == "retrain":
        args.channels, args.cells = args.channels or 36, args.cells or 20
        net = Derived(args.channels, args.cells)
        measure("retrain-darts-v2", net, net.cells, args)
    else:
        args.channels, args.cells = args.channels or 16, args.cells or 8
        net = Supernet(args.channels, args.cells)

        def logits(net, images, number):  # every operation but none comes equally often
            return net(images, [1 + (3 * number + edge) % 7 for edge in range(14)] if args.path == "gdas" else None)
        measure("darts", net, net.cells, args, logits)
