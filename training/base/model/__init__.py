"""The model itself: a Qwen2.5-VL of about four million weights.

Read `checkpoint` (sizes, files), then `tokenizer`, then `init_heads` (how some heads are initialized) and
`attention` (a faster implementation for training on a CPU).
"""
