# SPDX-License-Identifier: Apache-2.0
"""Writes nb201_torch.safetensors: what PyTorch computes for a small NAS-Bench-201 supernet.

    python3 dump_torch.py        (needs torch and numpy; made with torch 2.15.0)

Weights, images and labels are not stored: draw() gives them from their names, as does the test that reads the file.
Stored are, for the same supernet,
  mixture/…   loss, logits and all gradients (p among them) with mixture weights softmax(alpha)
  gdas/…      the same with one open operation an edge; parameters that were not reached are missing
  sgd/…, nesterov/…   losses of ten search steps (Adam on alpha, then clip and SGD on the weights, on two batches),
              and where they end: alpha and its moments, and of the weights and of SGD's momentum at most 12 elements of
              each tensor, evenly spaced, the tensors in the order of their names
  running/…   running statistics after one pass
"""
import json
import struct

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

CHANNELS, IMAGE, BATCH, CLASSES, SMOOTHING, STEPS = 4, 8, 3, 10, 0.1, 10
OPERATIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
CHOSEN = [3, 0, 4, 1, 2, 3]  # the open operation of each edge, gdas/
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


class ReLUConvBN(nn.Module):
    def __init__(self, c_in, c_out, kernel, stride, affine):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(c_out, affine=affine)

    def forward(self, x):
        return self.bn(self.conv(F.relu(x)))


class Cell(nn.Module):
    def __init__(self, c):
        super().__init__()
        for a, b in EDGES:
            edge = nn.Module()
            edge.add_module("nor_conv_1x1", ReLUConvBN(c, c, 1, 1, False))
            edge.add_module("nor_conv_3x3", ReLUConvBN(c, c, 3, 1, False))
            self.add_module(f"edge{a}-{b}", edge)

    def run(self, edge, op, x):
        if op == "skip_connect":
            return x
        if op == "avg_pool_3x3":
            return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return getattr(getattr(self, edge), op)(x)

    def forward(self, x, p, chosen):
        nodes = [x]
        for to in range(1, 4):
            total = torch.zeros_like(x)
            for row, (a, b) in enumerate(EDGES):
                if b == to:
                    for col, op in enumerate(OPERATIONS):
                        if op != "none" and (chosen is None or chosen[row] == col):
                            total = total + p[row, col] * self.run(f"edge{a}-{b}", op, nodes[a])
            nodes.append(total)
        return nodes[3]


class Reduce(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a, self.b = ReLUConvBN(c, 2 * c, 3, 2, True), ReLUConvBN(2 * c, 2 * c, 3, 1, True)
        self.shortcut = nn.Conv2d(c, 2 * c, 1, bias=False)

    def forward(self, x):
        return self.shortcut(F.avg_pool2d(x, 2)) + self.b(self.a(x))


class Supernet(nn.Module):
    """Modules are named as the nodes of the recorded network."""

    def __init__(self, c):
        super().__init__()
        self.stem, self.head = nn.Module(), nn.Module()
        self.stem.conv, self.stem.bn = nn.Conv2d(3, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        for stage in range(3):
            if stage:
                self.add_module(f"reduce{stage}", Reduce(c))
                c *= 2
            cells = nn.Module()
            cells.cell0 = Cell(c)
            self.add_module(f"stage{stage}", cells)
        self.head.bn, self.head.linear = nn.BatchNorm2d(c), nn.Linear(c, CLASSES)
        for name, t in self.state_dict().items():
            if name.endswith(("running_mean", "running_var", "num_batches_tracked")):
                continue
            u = torch.from_numpy(draw(name, t.numel())).view(t.shape)
            if t.dim() > 1:
                u = u * np.float32(1 / np.sqrt(t[0].numel()))
            elif name.endswith(".weight"):
                u = 1 + u / 4
            else:
                u = u / 8
            t.copy_(u)

    def forward(self, x, p, chosen=None):
        x = self.stem.bn(self.stem.conv(x))
        for stage in range(3):
            if stage:
                x = getattr(self, f"reduce{stage}")(x)
            x = getattr(self, f"stage{stage}").cell0(x, p, chosen)
        return self.head.linear(F.relu(self.head.bn(x)).mean((2, 3)))


def batch(name):
    x = 2 * torch.from_numpy(draw(name, BATCH * 3 * IMAGE * IMAGE)).view(BATCH, 3, IMAGE, IMAGE)
    return x, torch.tensor([(3 * i + len(name)) % CLASSES for i in range(BATCH)])


def start():
    alpha = torch.from_numpy(draw("alpha", len(EDGES) * len(OPERATIONS)) / 2).view(len(EDGES), len(OPERATIONS))
    return Supernet(CHANNELS), alpha.requires_grad_()


def gradients(out, prefix, net, p, chosen):
    x, y = batch("train")
    logits = net(x, p, chosen)
    loss = F.cross_entropy(logits, y, label_smoothing=SMOOTHING)
    loss.backward()
    out[f"{prefix}/loss"], out[f"{prefix}/logits"], out[f"{prefix}/p"] = loss, logits, p.grad
    for name, w in net.named_parameters():
        if w.grad is not None:
            out[f"{prefix}/{name}"] = w.grad


def steps(out, prefix, nesterov):
    net, alpha = start()
    sgd = torch.optim.SGD(net.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4, nesterov=nesterov)
    adam = torch.optim.Adam([alpha], lr=0.01, betas=(0.5, 0.999), weight_decay=1e-3)
    losses = []
    for _ in range(STEPS):
        for name in "valid", "train":
            x, y = batch(name)
            net.zero_grad(), adam.zero_grad()
            loss = F.cross_entropy(net(x, F.softmax(alpha, -1)), y, label_smoothing=SMOOTHING)
            loss.backward()
            losses.append(loss.item())
            if name == "valid":
                adam.step()
            else:
                losses.append(nn.utils.clip_grad_norm_(net.parameters(), 1.0).item())
                sgd.step()
    out[f"{prefix}/losses"], out[f"{prefix}/alpha"] = torch.tensor(losses), alpha
    state = adam.state[alpha]
    out[f"{prefix}/alpha/first"], out[f"{prefix}/alpha/second"] = state["exp_avg"], state["exp_avg_sq"]

    def spaced(t):
        t = t.flatten()
        return t[torch.arange(min(12, len(t))) * len(t) // min(12, len(t))]
    named = sorted(net.named_parameters())
    out[f"{prefix}/weights"] = torch.cat([spaced(w) for _, w in named])
    out[f"{prefix}/momentum"] = torch.cat([spaced(sgd.state[w]["momentum_buffer"]) for _, w in named])


def running(out):
    net, alpha = start()
    net(batch("train")[0], F.softmax(alpha, -1))
    for name, t in net.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            out[f"running/{name}"] = t


def save(path, tensors):
    header, data = {"__metadata__": {"torch": torch.__version__}}, b""
    for name, t in tensors.items():
        raw = t.detach().to(torch.float32).contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
out = {}
net, alpha = start()
gradients(out, "mixture", net, F.softmax(alpha, -1).detach().requires_grad_(), None)
net, _ = start()
hard = F.one_hot(torch.tensor(CHOSEN), len(OPERATIONS)).float() * 1.25
gradients(out, "gdas", net, hard.requires_grad_(), CHOSEN)
steps(out, "sgd", False)
steps(out, "nesterov", True)
running(out)
save("nb201_torch.safetensors", out)
