"""Models behind an API. Read `base`, which sends requests and survives what servers do, then `openai` and
`anthropic`. `sender` repeats a failed request, `request_form` adapts it to what a server accepts, `answers`
reads what comes back, and `anthropic_batches` sends batches at half the price.
"""
