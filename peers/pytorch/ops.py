# SPDX-License-Identifier: Apache-2.0
"""Single operations, forward and forward with backward: a JSON line for each, in each layout, with medians and minima in milliseconds."""
import argparse
import json
import statistics
import time

import torch
from torch import nn

from operations import operation

LAYOUTS = {"default": torch.contiguous_format, "channels-last": torch.channels_last}


def convolution(c, kernel, groups=1, dilation=1):
    return nn.Conv2d(c, c, kernel, padding=dilation * (kernel - 1) // 2, dilation=dilation, groups=groups, bias=False)


def cases(c):
    yield "conv3x3", convolution(c, 3)
    yield "conv1x1", convolution(c, 1)
    yield "dwconv3x3", convolution(c, 3, c)
    yield "dwconv5x5", convolution(c, 5, c)
    yield "dwconv3x3-dilated", convolution(c, 3, c, 2)
    yield "batchnorm", nn.BatchNorm2d(c)
    yield "relu", nn.ReLU()
    for name in ("max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"):
        yield name, operation(name, c, 1, False)


def measure(f, seconds):
    """Median and minimum in milliseconds, after three runs that do not count."""
    for _ in range(3):
        f()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        begin = time.perf_counter()
        f()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times), min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--match", default="", help="only operations whose name has this in it")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for n, c, size in ((32, 32, 32), (64, 16, 32)):
        for layout, memory_format in LAYOUTS.items():
            images = torch.randn(n, c, size, size).contiguous(memory_format=memory_format)
            for name, op in cases(c):
                if args.match not in name:
                    continue
                op = op.to(memory_format=memory_format)
                leaf = images.clone(memory_format=torch.preserve_format).requires_grad_()
                grad = torch.randn_like(op(images))

                def forward():
                    with torch.no_grad():
                        op(images)

                def both():
                    leaf.grad = None
                    op.zero_grad()
                    op(leaf).backward(grad)

                (f, f_min), (b, b_min) = measure(forward, args.seconds), measure(both, args.seconds)
                print(json.dumps({"peer": "op", "torch": torch.__version__, "op": name, "n": n, "c": c, "size": size, "mode": layout,
                                  "layout": layout, "threads": args.threads, "forward_ms": f, "forward_min_ms": f_min,
                                  "both_ms": b, "both_min_ms": b_min}), flush=True)


if __name__ == "__main__":
    main()
