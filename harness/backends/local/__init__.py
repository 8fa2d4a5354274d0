"""Checkpoints that run in this process: with transformers (`hf`) or with vLLM (`vllm`).

Read `hf`, then its parts: `checkpoint`, `image_processor` and `text_processor` load a model and its
processor, `chat` and `tokens` turn prompts into inputs and tokens into texts, `prefix` and
`prefix_attention` compute a shared policy once, and `roomy_cache` keeps keys and values.
"""
