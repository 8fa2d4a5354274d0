"""The result tables of the paper as data, one TOML file per table; `tables` reads them.

The paper is "Multimodal Policy Internalization for Conversational Agents" (Wang et al., ICLR 2026,
arXiv 2510.09474). Scores are in percent as printed there. They were not verified here, and were measured on
other data than ours. In a file, `shared` contains the values that all rows have in common.
"""
