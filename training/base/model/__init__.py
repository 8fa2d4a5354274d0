"""The model: a Qwen2.5-VL of about four million weights, and its tokenizer.

Read `checkpoint` (sizes and files), `tokenizer`, `init_heads` (how some attention heads are initialized),
`warm_start` (weights of an earlier model), `branches` (several questions in one sequence), and `attention`
(faster training on a CPU).
"""
