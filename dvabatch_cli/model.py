"""`dvabatch model`: write one of the paper's networks as ONNX."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import onnx
import typer

from dvabatch.models import write_network
from dvabatch.models.registry import registry
from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import CommandError
from dvabatch_cli.options import Json


@app.command(epilog="Example: dvabatch model resnet_152 --input 3x64x64 -o resnet_152.onnx")
def model(
    name: Annotated[str | None, typer.Argument(help="The network; without it, all are listed.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write [NAME.onnx].")] = None,
    input_shape: Annotated[str | None, typer.Option("--input", help="One row's shape, e.g. 3x224x224.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random weights.")] = 0,
    as_bytes: Annotated[
        bool, typer.Option("--uint8", help="Pictures come as bytes, of which the network makes numbers.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write one of the paper's networks as ONNX, with random weights from a seed."""
    with one_message():
        if name is None:
            networks = {key: {"summary": net.summary, "input": list(net.input_shape)} for key, net in registry.items()}
            if as_json:
                print_json(networks)
                return
            for key, network in networks.items():
                out.print(f"{key}: {network['summary']}, input {network['input']}", markup=False, highlight=False)
            say_next(f"dvabatch model {next(iter(networks))}", as_json)
            return
        say = speaker(as_json)
        shape = None if input_shape is None else _shape(input_shape)
        file = output or Path(f"{name}.onnx")
        say(f"writing {name}")
        write_network(name, file, input_shape=shape, seed=seed, as_bytes=as_bytes)
        graph = onnx.load(str(file), load_external_data=False).graph
        facts = {"file": str(file), "bytes": file.stat().st_size, "nodes": len(graph.node), "seed": seed}
        if as_json:
            print_json(facts)
        else:
            out.print(
                f"{file}: {facts['nodes']} nodes, {file.stat().st_size / 1e6:.1f} MB", markup=False, highlight=False
            )
        say_next(f"dvabatch slice {file} --stages 4", as_json)


def _shape(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d{1,6}(x\d{1,6})*", text):
        raise CommandError(f"--input {text!r} is no shape; wanted DxDx..., for example 3x224x224")
    return tuple(int(dim) for dim in text.split("x"))
