"""TensorRT: an engine for each stage, built once and run asynchronously on an NVIDIA GPU."""
