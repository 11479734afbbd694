# SPDX-License-Identifier: Apache-2.0
"""What the programs have in common: options, the timed training steps, the JSON line."""
import argparse
import json
import resource
import statistics
import time

import torch
from torch.nn import functional as F

MODES = ["default", "channels-last", "compile", "compile-channels-last"]


def options(description, paths):
    """Options of a program that times training steps on one of these paths."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--mode", choices=MODES, default="channels-last")
    parser.add_argument("--path", choices=paths, default=paths[0])
    for name, value, text in (("batch", 64, "images"), ("channels", 0, "0: as in the literature"), ("cells", 0, "0: as in the literature"),
                              ("image", 32, "rows and columns"), ("steps", 5, "timed, after one that is not"),
                              ("threads", 2, ""), ("seed", 0, "")):
        parser.add_argument("--" + name, type=int, default=value, help=text)
    return parser


def step(net, logits_of, weights, optimiser, images, labels):
    """One training step; returns the loss. logits_of gives logits, or logits and those of an auxiliary head."""
    optimiser.zero_grad()
    out = logits_of(net, images)
    if torch.is_tensor(out):
        loss = F.cross_entropy(out, labels)
    else:
        loss = F.cross_entropy(out[0], labels) + 0.4 * F.cross_entropy(out[1], labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(weights, 5.0)
    optimiser.step()
    return loss.item()


def measure(peer, net, blocks, args, logits_of=lambda net, images, number: net(images), classes=10):
    """Times the steps and prints the line. blocks are what a compiled mode compiles, one by one; number counts steps."""
    torch.set_num_threads(args.threads)
    images = torch.randn(args.batch, 3, args.image, args.image)
    labels = torch.randint(classes, (args.batch,))
    if args.mode.endswith("channels-last"):
        net = net.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    if args.mode.startswith("compile"):
        for block in blocks:
            block.compile()
    weights = [w for name, w in net.named_parameters() if not name.startswith("alpha")]
    sgd = torch.optim.SGD(weights, lr=0.025, momentum=0.9, weight_decay=3e-4)
    seconds = []
    for number in range(args.steps + 1):
        begin = time.perf_counter()
        loss = step(net, lambda n, x: logits_of(n, x, number), weights, sgd, images, labels)
        seconds.append(time.perf_counter() - begin)
    seconds = seconds[1:]  # the first one warms up
    median = statistics.median(seconds)
    print(json.dumps({
        "peer": peer, "torch": torch.__version__, "mode": args.mode, "path": args.path, "batch": args.batch,
        "channels": args.channels, "cells": args.cells, "image": args.image, "threads": args.threads,
        "params": sum(w.numel() for w in weights), "loss": loss, "median_s": median, "min_s": min(seconds),
        "mean_s": statistics.fmean(seconds), "steps_s": seconds, "images_per_s": args.batch / median,
        "max_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)
