# SPDX-License-Identifier: Apache-2.0
"""Writes nb201_torch.safetensors, darts_torch.safetensors and mbconv_torch.safetensors: what PyTorch computes for small supernets.

    python3 dump_torch.py        (needs torch and numpy; made with torch 2.15.0)

Weights, images and labels are not stored: draw() gives them from their names, as does the test that reads the file.
Stored are, for each supernet,
  mixture/…   loss, logits and all gradients (p among them) with mixture weights softmax(alpha)
  gdas/…      the same with one open operation an edge; parameters that were not reached are missing
  sgd/…, nesterov/…   losses of ten search steps (Adam on alpha, then clip and SGD on the weights, on two batches),
              and where they end: alpha and its moments, and of the weights and of SGD's momentum at most 12 elements of
              each tensor, evenly spaced, the tensors in the order of their names
  running/…   running statistics after one pass
Of darts and mbconv, gradients/… are those of at most 12 elements of each tensor, in the order of the names, for space.
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
DARTS_CHANNELS, DARTS_CELLS = 2, 3
DARTS_OPERATIONS = ["none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
DARTS_EDGES = [(a, b) for b in range(2, 6) for a in range(b)]
MBCONV_CHANNELS, MBCONV_BLOCKS = 2, 2
MBCONV_OPERATIONS = [(k, e) for k in (3, 5, 7) for e in (3, 6)]
MBCONV_STAGES = [(4, 1), (5, 1), (10, 1), (12, 1), (24, 2), (40, 1)]  # twice the width for one channel; stride on 8 pixels
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


def fill(net):
    """Sets all weights from their names."""
    for name, t in net.state_dict().items():
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
        fill(self)

    def forward(self, x, alphas, chosen=None):
        p, = alphas
        x = self.stem.bn(self.stem.conv(x))
        for stage in range(3):
            if stage:
                x = getattr(self, f"reduce{stage}")(x)
            x = getattr(self, f"stage{stage}").cell0(x, p, chosen)
        return self.head.linear(F.relu(self.head.bn(x)).mean((2, 3)))


class Separable(nn.Module):
    def __init__(self, c, kernel, stride, dilation):
        super().__init__()
        self.depthwise = nn.Conv2d(c, c, kernel, stride, dilation * (kernel // 2), dilation, groups=c, bias=False)
        self.pointwise = nn.Conv2d(c, c, 1, bias=False)
        self.bn = nn.BatchNorm2d(c, affine=False)

    def forward(self, x):
        return self.bn(self.pointwise(self.depthwise(F.relu(x))))


class SeparableTwice(nn.Module):
    def __init__(self, c, kernel, stride):
        super().__init__()
        self.first, self.second = Separable(c, kernel, stride, 1), Separable(c, kernel, 1, 1)

    def forward(self, x):
        return self.second(self.first(x))


class Halve(nn.Module):
    """The factorised reduce."""

    def __init__(self, c_in, c):
        super().__init__()
        self.even, self.odd = nn.Conv2d(c_in, c // 2, 1, 2, bias=False), nn.Conv2d(c_in, c - c // 2, 1, 2, bias=False)
        self.bn = nn.BatchNorm2d(c, affine=False)

    def forward(self, x):
        x = F.relu(x)
        return self.bn(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))


class Pool(nn.Module):
    def __init__(self, c, pool):
        super().__init__()
        self.pool, self.bn = pool, nn.BatchNorm2d(c, affine=False)

    def forward(self, x):
        return self.bn(self.pool(x))


class DARTSCell(nn.Module):
    def __init__(self, c_before, c_last, c, reduction, halved):
        super().__init__()
        self.pre0 = Halve(c_before, c) if halved else ReLUConvBN(c_before, c, 1, 1, False)
        self.pre1 = ReLUConvBN(c_last, c, 1, 1, False)
        for a, b in DARTS_EDGES:
            stride = 2 if reduction and a < 2 else 1
            edge = nn.Module()
            edge.add_module("max_pool_3x3", Pool(c, nn.MaxPool2d(3, stride, 1)))
            edge.add_module("avg_pool_3x3", Pool(c, nn.AvgPool2d(3, stride, 1, count_include_pad=False)))
            edge.add_module("skip_connect", nn.Identity() if stride == 1 else Halve(c, c))
            edge.add_module("sep_conv_3x3", SeparableTwice(c, 3, stride))
            edge.add_module("sep_conv_5x5", SeparableTwice(c, 5, stride))
            edge.add_module("dil_conv_3x3", Separable(c, 3, stride, 2))
            edge.add_module("dil_conv_5x5", Separable(c, 5, stride, 2))
            self.add_module(f"edge{a}-{b}", edge)

    def forward(self, before, last, p, chosen):
        nodes = [self.pre0(before), self.pre1(last)]
        for to in range(2, 6):
            total = 0
            for row, (a, b) in enumerate(DARTS_EDGES):
                if b == to:
                    for col, op in enumerate(DARTS_OPERATIONS):
                        if op != "none" and (chosen is None or chosen[row] == col):
                            total = total + p[row, col] * getattr(getattr(self, f"edge{a}-{b}"), op)(nodes[a])
            nodes.append(total)
        return torch.cat(nodes[2:], 1)


class DARTSSupernet(nn.Module):
    def __init__(self, c, cells):
        super().__init__()
        self.stem, self.head = nn.Module(), nn.Module()
        self.stem.conv, self.stem.bn = nn.Conv2d(3, 3 * c, 3, padding=1, bias=False), nn.BatchNorm2d(3 * c)
        before = last = 3 * c
        self.reductions, halved = (cells // 3, 2 * cells // 3), False
        for i in range(cells):
            reduction = i in self.reductions
            c *= 2 if reduction else 1
            self.add_module(f"cell{i}", DARTSCell(before, last, c, reduction, halved))
            before, last, halved = last, 4 * c, reduction
        self.cells = cells
        self.head.linear = nn.Linear(last, CLASSES)
        fill(self)

    def forward(self, x, alphas, chosen=None):
        before = last = self.stem.bn(self.stem.conv(x))
        for i in range(self.cells):
            before, last = last, getattr(self, f"cell{i}")(before, last, alphas[i in self.reductions], chosen)
        return self.head.linear(last.mean((2, 3)))


class ConvBN(nn.Module):
    def __init__(self, c_in, c, kernel, stride, groups, affine):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(c, affine=affine)

    def forward(self, x):
        return self.bn(self.conv(x))


class InvertedResidual(nn.Module):
    def __init__(self, c_in, c, kernel, stride, expansion, affine):
        super().__init__()
        hidden = expansion * c_in
        self.expand = ConvBN(c_in, hidden, 1, 1, 1, affine) if expansion > 1 else None
        self.depthwise = ConvBN(hidden, hidden, kernel, stride, hidden, affine)
        self.project = ConvBN(hidden, c, 1, 1, 1, affine)
        self.residual = stride == 1 and c == c_in

    def forward(self, x):
        y = F.relu(self.expand(x)) if self.expand else x
        y = self.project(F.relu(self.depthwise(y)))
        return x + y if self.residual else y


class MBConvSupernet(nn.Module):
    def __init__(self, c, blocks):
        super().__init__()
        self.stem, self.head, self.stage0 = ConvBN(3, 2 * c, 3, 1, 1, True), nn.Module(), nn.Module()
        self.stage0.block0 = InvertedResidual(2 * c, c, 3, 1, 1, True)
        self.layers, last = [], c
        for i, (width, stride) in enumerate(MBCONV_STAGES):
            stage = nn.Module()
            for j in range(blocks if i < len(MBCONV_STAGES) - 1 else 1):
                block = nn.Module()
                for k, e in MBCONV_OPERATIONS:
                    block.add_module(f"mbconv_{k}x{k}_e{e}", InvertedResidual(last, c * width // 2, k, 1 if j else stride, e, False))
                stage.add_module(f"block{j}", block)
                self.layers.append((j > 0, block))
                last = c * width // 2
            self.add_module(f"stage{i + 1}", stage)
        self.head.conv, self.head.bn = nn.Conv2d(last, 80 * c, 1, bias=False), nn.BatchNorm2d(80 * c)
        self.head.linear = nn.Linear(80 * c, CLASSES)
        fill(self)

    def forward(self, x, alphas, chosen=None):
        x, rows = self.stage0.block0(F.relu(self.stem(x))), [0, 0]
        for rest, block in self.layers:
            p = alphas[rest][rows[rest]]
            rows[rest] += 1
            x = sum([w * op(x) for w, op in zip(p, block.children())], p[-1] * x if rest else 0)
        x = F.relu(self.head.bn(self.head.conv(x)))
        return self.head.linear(x.mean((2, 3)))


def batch(name):
    x = 2 * torch.from_numpy(draw(name, BATCH * 3 * IMAGE * IMAGE)).view(BATCH, 3, IMAGE, IMAGE)
    return x, torch.tensor([(3 * i + len(name)) % CLASSES for i in range(BATCH)])


def start(space):
    """A supernet and its α."""
    if space == "nb201":
        net, alphas = Supernet(CHANNELS), {"alpha": (len(EDGES), len(OPERATIONS))}
    elif space == "darts":
        net, alphas = DARTSSupernet(DARTS_CHANNELS, DARTS_CELLS), dict.fromkeys(("normal", "reduce"), (len(DARTS_EDGES), len(DARTS_OPERATIONS)))
    else:
        net, alphas = MBConvSupernet(MBCONV_CHANNELS, MBCONV_BLOCKS), {"first": (len(MBCONV_STAGES), 6), "rest": (5 * (MBCONV_BLOCKS - 1), 7)}
    return net, [torch.from_numpy(draw(a, rows * cols) / 2).view(rows, cols).requires_grad_() for a, (rows, cols) in alphas.items()]


def softmax(alphas):
    return [F.softmax(a, -1) for a in alphas]


def spaced(t):
    t = t.flatten()
    return t[torch.arange(min(12, len(t))) * len(t) // min(12, len(t))]


def gradients(out, prefix, net, p, chosen):
    x, y = batch("train")
    logits = net(x, p, chosen)
    loss = F.cross_entropy(logits, y, label_smoothing=SMOOTHING)
    loss.backward()
    out[f"{prefix}/loss"], out[f"{prefix}/logits"] = loss, logits
    out[f"{prefix}/p"] = torch.cat([a.grad.flatten() for a in p])
    if not isinstance(net, Supernet):
        out[f"{prefix}/gradients"] = torch.cat([spaced(w.grad) for _, w in sorted(net.named_parameters())])
        return
    for name, w in net.named_parameters():
        if w.grad is not None:
            out[f"{prefix}/{name}"] = w.grad


def steps(out, prefix, space, nesterov):
    net, alphas = start(space)
    sgd = torch.optim.SGD(net.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4, nesterov=nesterov)
    adam = torch.optim.Adam(alphas, lr=0.01, betas=(0.5, 0.999), weight_decay=1e-3)
    losses = []
    for _ in range(STEPS):
        for name in "valid", "train":
            x, y = batch(name)
            net.zero_grad(), adam.zero_grad()
            loss = F.cross_entropy(net(x, softmax(alphas)), y, label_smoothing=SMOOTHING)
            loss.backward()
            losses.append(loss.item())
            if name == "valid":
                adam.step()
            else:
                losses.append(nn.utils.clip_grad_norm_(net.parameters(), 1.0).item())
                sgd.step()
    out[f"{prefix}/losses"] = torch.tensor(losses)
    flat = lambda ts: torch.cat([t.flatten() for t in ts])
    out[f"{prefix}/alpha"] = flat(alphas)
    out[f"{prefix}/alpha/first"] = flat([adam.state[a]["exp_avg"] for a in alphas])
    out[f"{prefix}/alpha/second"] = flat([adam.state[a]["exp_avg_sq"] for a in alphas])
    named = sorted(net.named_parameters())
    out[f"{prefix}/weights"] = torch.cat([spaced(w) for _, w in named])
    out[f"{prefix}/momentum"] = torch.cat([spaced(sgd.state[w]["momentum_buffer"]) for _, w in named])


def running(out, space):
    net, alphas = start(space)
    net(batch("train")[0], softmax(alphas))
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
for space in "nb201", "darts", "mbconv":
    out = {}
    net, alphas = start(space)
    gradients(out, "mixture", net, [p.detach().requires_grad_() for p in softmax(alphas)], None)
    if space == "nb201":
        net, _ = start(space)
        hard = F.one_hot(torch.tensor(CHOSEN), len(OPERATIONS)).float() * 1.25
        gradients(out, "gdas", net, [hard.requires_grad_()], CHOSEN)
        steps(out, "nesterov", space, True)
    if space != "mbconv":  # whose steps part after two, float32 from float64 in PyTorch itself
        steps(out, "sgd", space, False)
    running(out, space)
    save(f"{space}_torch.safetensors", out)
