"""Opens a bundle with the `safetensors` package: bundle_safetensors.py BUNDLE.distill"""

import json
import sys

from safetensors import safe_open


def main():
    path = sys.argv[1]
    with safe_open(path, framework="numpy") as bundle:
        metadata = bundle.metadata()
        names = sorted(bundle.keys())
        assert metadata["format"] == "distill", metadata
        config = json.loads(metadata["config"])
        card = json.loads(metadata["card"])
        assert len(metadata["digest"]) == 64, metadata["digest"]
        for part in ["codec.", *(["prior."] if "prior" in config else [])]:
            assert any(name.startswith(part) for name in names), f"{path} holds no tensor {part}*"
        size = sum(bundle.get_tensor(name).nbytes for name in names)
    print(f"{path}: version {metadata['version']}, {len(names)} tensors, {size / 1e6:.1f} MB")
    print(f"  config: {', '.join(f'{key}={value}' for key, value in config['codec'].items())}")
    print(f"  card: {', '.join(card)}")


if __name__ == "__main__":
    main()
