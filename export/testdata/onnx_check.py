#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks an exported model with the Python packages onnx and onnxruntime.

    onnx_check.py MODEL.onnx INPUTS LOGITS [LABELS]

INPUTS and LOGITS are arrays of float32, images N,C,H,W and N,classes: .npy, or
the bare numbers, little-endian. LABELS, if given, is an array of N numbers of
classes (.npy, or one byte each). The model must pass the ONNX checker with full
shape inference; ONNX Runtime, on one thread, must compute the logits from the
inputs to within 1e-4. One JSON object says what was found: max_abs_diff,
images, outputs, opset, ir_version, nodes, metadata, and with labels accuracy and
accuracy_expected (of LOGITS). Exit status 0: good, 1: not, 2: usage or a
missing package.
"""
import json
import sys

TOLERANCE = 1e-4


def array(path, dtype, numpy):
    if path.endswith(".npy"):
        return numpy.load(path).astype(dtype)
    return numpy.fromfile(path, dtype=dtype)


def main(args):
    if len(args) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        import numpy
        import onnx
        import onnxruntime
    except ImportError as err:
        print(f"onnx_check: {err}", file=sys.stderr)
        return 2

    model = onnx.load(args[0])
    onnx.checker.check_model(model, full_check=True)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(args[0], options, providers=["CPUExecutionProvider"])
    (source,), (target,) = session.get_inputs(), session.get_outputs()
    x = array(args[1], "<f4", numpy).reshape(-1, *source.shape[1:])
    want = array(args[2], "<f4", numpy).reshape(len(x), -1)
    got = session.run([target.name], {source.name: x})[0].reshape(len(x), -1)
    if got.shape != want.shape:
        print(f"onnx_check: logits of {got.shape}, want {want.shape}", file=sys.stderr)
        return 1
    diff = float(numpy.abs(got.astype("f8") - want).max())

    found = {
        "max_abs_diff": diff,
        "images": len(x),
        "outputs": got.shape[1],
        "opset": model.opset_import[0].version,
        "ir_version": model.ir_version,
        "nodes": len(model.graph.node),
        "metadata": {p.key: p.value for p in model.metadata_props},
    }
    if len(args) == 4:
        labels = array(args[3], "u1", numpy)
        found["accuracy"] = float((got.argmax(axis=1) == labels).mean())
        found["accuracy_expected"] = float((want.argmax(axis=1) == labels).mean())
    print(json.dumps(found))
    return 0 if diff <= TOLERANCE else 1  # also where it is no number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
