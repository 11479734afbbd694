# SPDX-License-Identifier: Apache-2.0
"""Operations of the spaces (Liu et al., DARTS, 2019, §3.1; Dong and Yang, NAS-Bench-201, 2020, §2.1)."""
import torch
from torch import nn

DARTS = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
NB201 = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return 0.0 * x[..., ::self.stride, ::self.stride]


class FactorizedReduce(nn.Module):
    """Halves the map: 1x1 convolutions on its even and on its odd pixels, side by side."""

    def __init__(self, before, after, affine):
        super().__init__()
        self.even = nn.Conv2d(before, after // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(before, after - after // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(after, affine=affine)

    def forward(self, x):
        x = torch.relu(x)
        return self.norm(torch.cat((self.even(x), self.odd(x[..., 1:, 1:])), dim=1))


def relu_conv_norm(before, after, kernel, stride=1, affine=False):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False),
                         nn.BatchNorm2d(after, affine=affine))


def separable(c, kernel, stride, dilation, affine):
    depthwise = nn.Conv2d(c, c, kernel, stride, dilation * (kernel - 1) // 2, dilation, groups=c, bias=False)
    return nn.Sequential(nn.ReLU(), depthwise, nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c, affine=affine))


def operation(name, c, stride, affine):
    """A DARTS operation; in a supernet (not affine) poolings have a batch norm behind them."""
    if name == "none":
        return Zero(stride)
    if name == "skip_connect":
        return FactorizedReduce(c, c, affine) if stride == 2 else nn.Identity()
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        pool = nn.MaxPool2d(3, stride, 1) if name[0] == "m" else nn.AvgPool2d(3, stride, 1, count_include_pad=False)
        return pool if affine else nn.Sequential(pool, nn.BatchNorm2d(c, affine=False))
    kernel = int(name[-1])
    if name.startswith("dil"):
        return separable(c, kernel, stride, 2, affine)
    return nn.Sequential(separable(c, kernel, stride, 1, affine), separable(c, kernel, 1, 1, affine))


def nb201_operation(name, c, affine):
    """A NAS-Bench-201 operation."""
    return {"none": lambda: Zero(1), "skip_connect": nn.Identity,
            "nor_conv_1x1": lambda: relu_conv_norm(c, c, 1, affine=affine),
            "nor_conv_3x3": lambda: relu_conv_norm(c, c, 3, affine=affine),
            "avg_pool_3x3": lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False)}[name]()
