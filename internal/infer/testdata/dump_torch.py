# SPDX-License-Identifier: Apache-2.0
"""Writes darts_torch.json: the logits that PyTorch computes for small derived DARTS networks in evaluation mode.

    python3 dump_torch.py        (needs torch and numpy; made with torch 2.15.0)

For each genotype: the network's logits and those of its auxiliary head, images × classes. Parameters and images are not
stored: draw() gives them from their names, as does the test that reads the file.
"""
import json

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

CHANNELS, CELLS, IMAGE, BATCH, CLASSES = 4, 6, 32, 2, 10
GENOTYPES = {
    "published": {  # DARTS_V2
        "normal": [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
                   ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)],
        "reduce": [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
                   ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)]},
    "every": {
        "normal": [("sep_conv_3x3", 0), ("dil_conv_5x5", 1), ("max_pool_3x3", 0), ("avg_pool_3x3", 2),
                   ("sep_conv_5x5", 1), ("skip_connect", 0), ("dil_conv_3x3", 3), ("skip_connect", 4)],
        "reduce": [("max_pool_3x3", 0), ("sep_conv_5x5", 1), ("skip_connect", 0), ("dil_conv_3x3", 1),
                   ("avg_pool_3x3", 0), ("dil_conv_5x5", 1), ("sep_conv_3x3", 1), ("skip_connect", 2)]},
}
MASK = 2**64 - 1


def draw(name, n):
    """n numbers in -1…1 from a name: FNV-1a of it starts SplitMix64, whose upper 24 bits count."""
    h = 14695981039346656037
    for b in name.encode():
        h = (h ^ b) * 1099511628211 & MASK
    out = np.empty(n, np.float32)
    for i in range(n):
        h = h + 0x9E3779B97F4A7C15 & MASK
        z = h
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        out[i] = np.float32(((z ^ z >> 31) >> 40) / 2**23 - 1)
    return out


class Reduce(nn.Module):
    def __init__(self, c_in, c):
        super().__init__()
        self.even, self.odd = (nn.Conv2d(c_in, c // 2, 1, 2, bias=False) for _ in range(2))
        self.bn = nn.BatchNorm2d(c)

    def forward(self, x):
        x = F.relu(x)
        return self.bn(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))


class ReLUConvBN(nn.Module):
    def __init__(self, c_in, c):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(c_in, c, 1, bias=False), nn.BatchNorm2d(c)

    def forward(self, x):
        return self.bn(self.conv(F.relu(x)))


class Separable(nn.Module):
    def __init__(self, c, kernel, stride, dilation):
        super().__init__()
        self.depthwise = nn.Conv2d(c, c, kernel, stride, dilation * (kernel // 2), dilation, groups=c, bias=False)
        self.pointwise, self.bn = nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c)

    def forward(self, x):
        return self.bn(self.pointwise(self.depthwise(F.relu(x))))


class Twice(nn.Module):
    def __init__(self, c, kernel, stride):
        super().__init__()
        self.first, self.second = Separable(c, kernel, stride, 1), Separable(c, kernel, 1, 1)

    def forward(self, x):
        return self.second(self.first(x))


def operation(name, c, stride):
    kernel = int(name[-1]) if name[-1].isdigit() else 0
    return {"sep_conv": lambda: Twice(c, kernel, stride),
            "dil_conv": lambda: Separable(c, kernel, stride, 2),
            "max_pool": lambda: nn.MaxPool2d(3, stride, 1),
            "avg_pool": lambda: nn.AvgPool2d(3, stride, 1, count_include_pad=False),
            "skip_con": lambda: nn.Identity() if stride == 1 else Reduce(c, c)}[name[:8]]()


class Cell(nn.Module):
    def __init__(self, genes, before, last, c, reduction, halved):
        super().__init__()
        self.pre0 = Reduce(before, c) if halved else ReLUConvBN(before, c)
        self.pre1 = ReLUConvBN(last, c)
        self.reads = []
        for i, (name, source) in enumerate(genes):
            edge = f"edge{source}-{2 + i // 2}"
            holder = nn.Module()
            holder.add_module(name, operation(name, c, 2 if reduction and source < 2 else 1))
            self.add_module(edge, holder)
            self.reads.append((source, edge, name))

    def forward(self, before, last):
        nodes = [self.pre0(before), self.pre1(last)]
        for i in range(0, 8, 2):
            nodes.append(sum(getattr(getattr(self, edge), name)(nodes[source]) for source, edge, name in self.reads[i:i + 2]))
        return torch.cat(nodes[2:], 1)


class Network(nn.Module):
    """Modules are named as the nodes of the recorded network."""

    def __init__(self, genotype, c):
        super().__init__()
        self.stem, self.auxiliary, self.head = nn.Module(), nn.Module(), nn.Module()
        self.stem.conv, self.stem.bn = nn.Conv2d(3, 3 * c, 3, padding=1, bias=False), nn.BatchNorm2d(3 * c)
        before = last = 3 * c
        halved = False
        for i in range(CELLS):
            reduction = i in (CELLS // 3, 2 * CELLS // 3)
            c *= 2 if reduction else 1
            self.add_module(f"cell{i}", Cell(genotype["reduce" if reduction else "normal"], before, last, c, reduction, halved))
            before, last, halved = last, 4 * c, reduction
        a = self.auxiliary
        a.conv1, a.bn1 = nn.Conv2d(last, 128, 1, bias=False), nn.BatchNorm2d(128)
        a.conv2, a.bn2 = nn.Conv2d(128, 768, 2, bias=False), nn.BatchNorm2d(768)
        a.linear, self.head.linear = nn.Linear(768, CLASSES), nn.Linear(last, CLASSES)
        for name, t in self.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            u = torch.from_numpy(draw(name, t.numel())).view(t.shape)
            if t.dim() > 1:
                u = u * np.float32(np.sqrt(6 / t[0].numel()))
            elif name.endswith((".weight", ".running_var")):
                u = 1 + u / 4
            else:
                u = u / 8
            t.copy_(u)

    def forward(self, x):
        before = last = self.stem.bn(self.stem.conv(x))
        for i in range(CELLS):
            before, last = last, getattr(self, f"cell{i}")(before, last)
            if i == 2 * CELLS // 3:
                a = self.auxiliary
                y = a.bn1(a.conv1(F.avg_pool2d(F.relu(last), 5, 3, count_include_pad=False)))
                y = a.linear(F.relu(a.bn2(a.conv2(F.relu(y)))).flatten(1))
        return self.head.linear(last.mean((2, 3))), y


torch.set_num_threads(1)
out = {"torch": torch.__version__}
for name, genotype in GENOTYPES.items():
    x = 2 * torch.from_numpy(draw("images", BATCH * 3 * IMAGE * IMAGE)).view(BATCH, 3, IMAGE, IMAGE)
    with torch.no_grad():
        logits, auxiliary = Network(genotype, CHANNELS).eval()(x)
    out[name] = {"logits": logits.flatten().tolist(), "auxiliary": auxiliary.flatten().tolist()}
with open("darts_torch.json", "w") as f:
    json.dump(out, f, indent=1)
    f.write("\n")
